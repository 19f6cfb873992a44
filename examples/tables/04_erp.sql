-- The ERP's side of 04_generated_keys.yaml.
CREATE SEQUENCE customer_code_seq START 10001;
CREATE TABLE customer (
    id      serial       PRIMARY KEY,
    code    varchar(12)  NOT NULL UNIQUE,
    name    varchar(120) NOT NULL,
    vat_no  varchar(24),
    email   varchar(120),
    fax     varchar(24)  NOT NULL,
    active  boolean      NOT NULL DEFAULT false,
    created timestamp    NOT NULL
);
CREATE TABLE project (
    id       serial        PRIMARY KEY,
    customer integer       NOT NULL REFERENCES customer,
    title    varchar(120)  NOT NULL,
    budget   numeric(14,4)
);
