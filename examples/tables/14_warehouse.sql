-- The warehouse's side of 14_stock.yaml.
CREATE TABLE stock (
    sku      varchar(20)   PRIMARY KEY,
    on_hand  numeric(12,3) NOT NULL DEFAULT 0,
    reserved numeric(12,3) NOT NULL DEFAULT 0,
    bin      varchar(10),                                  -- the warehouse's own
    moved_at timestamptz   NOT NULL DEFAULT now()
);
