-- The ERP's side of 13_prices.yaml.
CREATE TABLE article (
    sku       varchar(20)   PRIMARY KEY,
    net_price numeric(14,4) NOT NULL,
    vat_rate  numeric(5,4)  NOT NULL DEFAULT 0.19,
    discount  numeric(6,5)  NOT NULL DEFAULT 0,
    cost      numeric(14,6),
    weight    numeric(9,3)
);
