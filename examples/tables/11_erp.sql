-- The ERP's side of 11_values.yaml.
CREATE TABLE product (
    sku        varchar(12) PRIMARY KEY,
    stage      varchar(2),
    sold       char(1),
    gift       smallint CHECK (gift IN (0, 1)),
    price      numeric(12,4),
    rate       numeric(5,4),
    carton     integer,
    name       varchar(60),
    brand      varchar(40),
    tags       text,
    name_short text,
    stock      bigint,
    width      numeric(9,1),
    ean        varchar(13),
    day        date,
    seen       timestamp,
    opened     timestamp,
    words      text,
    note       varchar(40),
    facts      json
);
