-- The shop's side of 11_values.yaml.
CREATE TABLE item (
    code     varchar(12) PRIMARY KEY,
    stage    text,
    on_sale  boolean,
    is_gift  boolean,
    price    numeric(12,2),
    percent  numeric(6,2),
    dozens   numeric(12,3),
    title    varchar(60),
    brand    varchar(40),
    tags     text[],
    short    varchar(8),
    stock    smallint,
    width    numeric(4,1),
    gtin     varchar(17),
    day_text text,
    seen     timestamptz,
    opened   timestamptz,
    search   text,
    note     char(40),
    facts    jsonb
);
