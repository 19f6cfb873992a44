-- The shop's side of 01_one_table.yaml.
CREATE SCHEMA catalog;
CREATE TABLE catalog.item (
    code  varchar(24)   PRIMARY KEY,
    title varchar(160)  NOT NULL,
    price numeric(12,2) NOT NULL,
    unit  varchar(8)    NOT NULL,
    stars integer       -- the shop's own affair
);
