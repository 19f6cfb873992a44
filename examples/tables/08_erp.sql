-- The ERP's side of 08_owned_by_the_erp.yaml.
CREATE TABLE employee (
    id      serial       PRIMARY KEY,
    email   varchar(120) NOT NULL UNIQUE,
    name    varchar(120) NOT NULL,
    manager integer      REFERENCES employee,
    active  boolean      NOT NULL DEFAULT true
);
CREATE TABLE product (
    id         serial        PRIMARY KEY,
    sku        varchar(24)   NOT NULL UNIQUE,
    name       varchar(120)  NOT NULL,
    list_price numeric(12,2),
    active     boolean       NOT NULL DEFAULT true
);
CREATE TABLE set_item (
    id          serial  PRIMARY KEY,
    product_set integer NOT NULL REFERENCES product,
    product     integer NOT NULL REFERENCES product,
    quantity    integer NOT NULL CHECK (quantity > 0),
    UNIQUE (product_set, product)
);
