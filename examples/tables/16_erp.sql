-- The ERP's side of 16_crm_on_mariadb.yaml, on PostgreSQL.
CREATE TABLE country (id integer PRIMARY KEY, code varchar(2) NOT NULL UNIQUE, name varchar(80) NOT NULL);
INSERT INTO country VALUES (33, 'FR', 'France'), (41, 'CH', 'Switzerland'), (49, 'DE', 'Germany');
CREATE TABLE category (id integer PRIMARY KEY, name varchar(40) NOT NULL);
INSERT INTO category VALUES (7, 'Customer'), (8, 'Supplier');
CREATE TABLE party (
    id       serial       PRIMARY KEY,
    name     varchar(160) NOT NULL,
    phone    varchar(40),
    stage    char(1)      NOT NULL DEFAULT 'P' CHECK (stage IN ('P', 'A')),
    industry varchar(40),
    mailing  boolean      NOT NULL DEFAULT false,
    visited  timestamptz(0),
    invoices integer      NOT NULL DEFAULT 0
);
CREATE TABLE party_code (
    id    serial      PRIMARY KEY,
    party integer     NOT NULL REFERENCES party ON DELETE CASCADE,
    type  varchar(10) NOT NULL,
    code  varchar(32) NOT NULL,
    UNIQUE (party, type)
);
CREATE TABLE address (
    id       serial  PRIMARY KEY,
    party    integer NOT NULL REFERENCES party ON DELETE CASCADE,
    sequence integer,
    active   boolean NOT NULL,
    street   varchar(120),
    city     varchar(80),
    country  integer REFERENCES country
);
CREATE TABLE party_category (
    id       serial  PRIMARY KEY,
    party    integer NOT NULL REFERENCES party ON DELETE CASCADE,
    category integer NOT NULL REFERENCES category,
    UNIQUE (party, category)
);
CREATE TABLE person (
    id         serial       PRIMARY KEY,
    email      varchar(120) NOT NULL UNIQUE,
    first_name varchar(80),
    last_name  varchar(80)  NOT NULL,
    works_for  integer      REFERENCES party ON DELETE SET NULL
);
CREATE INDEX ON address (party);
