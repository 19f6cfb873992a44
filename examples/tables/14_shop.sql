-- The shop's side of 14_stock.yaml.
CREATE TABLE inventory (
    sku      varchar(20) PRIMARY KEY,
    quantity integer     NOT NULL DEFAULT 0 CHECK (quantity >= 0),
    reserved integer     NOT NULL DEFAULT 0,
    free     integer     NOT NULL DEFAULT 0
);
