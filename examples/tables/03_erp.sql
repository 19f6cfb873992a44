-- The ERP's side of 03_three_systems.yaml.
CREATE TABLE item (
    plant      varchar(4),
    item_no    integer,
    name       varchar(120) NOT NULL,
    lead_days  integer,
    list_price numeric(12,2),
    width_mm   integer,
    height_mm  integer,
    PRIMARY KEY (plant, item_no)
);
