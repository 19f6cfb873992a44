-- The ERP's side of 01_one_table.yaml.
CREATE TABLE product (
    sku        varchar(24)   PRIMARY KEY,
    name       varchar(160)  NOT NULL,
    list_price numeric(12,2) NOT NULL,
    unit       varchar(8)    NOT NULL
);
