-- The ERP's side of 09_three_systems.yaml.
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
CREATE TABLE production_order (
    company  integer     NOT NULL DEFAULT 1,
    id       serial,
    order_no varchar(12) NOT NULL,
    quantity integer     NOT NULL,
    due_date date,
    state    char(1)     NOT NULL DEFAULT 'P' CHECK (state IN ('P', 'R', 'F')),
    reported integer,
    PRIMARY KEY (company, id)
);
