-- The ERP's side of 05_parts.yaml.
CREATE TABLE country (id integer PRIMARY KEY, code varchar(2) NOT NULL UNIQUE, name varchar(80) NOT NULL);
INSERT INTO country VALUES (33, 'FR', 'France'), (41, 'CH', 'Switzerland'), (49, 'DE', 'Germany');
CREATE TABLE segment (id serial PRIMARY KEY, name varchar(40) NOT NULL UNIQUE);
CREATE TABLE category (id integer PRIMARY KEY, name varchar(40) NOT NULL);
INSERT INTO category VALUES (7, 'Customer'), (8, 'Supplier');
CREATE TABLE party (
    id      serial       PRIMARY KEY,
    name    varchar(160) NOT NULL,
    segment integer      REFERENCES segment,
    active  boolean      NOT NULL DEFAULT true
);
CREATE TABLE party_code (
    id    serial      PRIMARY KEY,
    party integer     NOT NULL REFERENCES party ON DELETE CASCADE,
    type  varchar(10) NOT NULL,
    code  varchar(32) NOT NULL,
    UNIQUE (party, type)
);
CREATE TABLE party_address (
    id       serial  PRIMARY KEY,
    party    integer NOT NULL REFERENCES party ON DELETE CASCADE,
    sequence integer,
    active   boolean NOT NULL,
    street   varchar(120),
    city     varchar(80),
    zip      varchar(12),
    country  integer REFERENCES country
);
CREATE TABLE contact (
    id       serial       PRIMARY KEY,
    party    integer      NOT NULL REFERENCES party ON DELETE CASCADE,
    type     varchar(10)  NOT NULL CHECK (type IN ('phone', 'mobile', 'email', 'website', 'fax')),
    value    varchar(200) NOT NULL,
    sequence integer
);
CREATE TABLE party_category (
    id       serial  PRIMARY KEY,
    party    integer NOT NULL REFERENCES party ON DELETE CASCADE,
    category integer NOT NULL REFERENCES category,
    UNIQUE (party, category)
);
CREATE INDEX ON party_address (party);           -- joined columns want an index, as the application's own queries do
CREATE INDEX ON contact (party);
