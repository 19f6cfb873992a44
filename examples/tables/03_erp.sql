-- The ERP's side of 03_references.yaml.
CREATE TABLE category (
    code   varchar(12) PRIMARY KEY,
    name   varchar(80) NOT NULL,
    parent varchar(12) REFERENCES category
);
CREATE TABLE article (
    sku      varchar(24)  PRIMARY KEY,
    name     varchar(160) NOT NULL,
    category varchar(12)  NOT NULL REFERENCES category
);
CREATE TABLE list_price (
    sku           varchar(24)   REFERENCES article ON DELETE CASCADE,
    from_quantity integer,
    amount        numeric(12,2) NOT NULL,
    PRIMARY KEY (sku, from_quantity)
);
