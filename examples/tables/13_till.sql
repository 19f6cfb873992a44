-- The till's side of 13_prices.yaml.
CREATE TABLE plu (
    code  varchar(20) PRIMARY KEY,
    cents bigint      NOT NULL,
    cost  numeric(8,2)
);
