-- The shop's side of 13_prices.yaml.
CREATE TABLE product (
    sku         varchar(20)   PRIMARY KEY,
    price       numeric(10,2) NOT NULL,
    vat_percent numeric(5,2)  NOT NULL,
    gross       numeric(10,2),
    rebate      numeric(3,1)  NOT NULL DEFAULT 0,
    weight_text varchar(20)
);
