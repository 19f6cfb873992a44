-- The shop's side of 20_shop_on_sqlite.yaml, on SQLite.
CREATE TABLE product (
    sku VARCHAR(20) PRIMARY KEY NOT NULL, title VARCHAR(80) NOT NULL, cents INTEGER NOT NULL, stock INTEGER NOT NULL DEFAULT 0,
    active INTEGER NOT NULL DEFAULT 1 CHECK (active IN (0, 1))
);
CREATE TABLE customer (
    id      INTEGER PRIMARY KEY,                 -- numbered by SQLite
    email   VARCHAR(120) NOT NULL UNIQUE,
    name    VARCHAR(80) NOT NULL,
    town    VARCHAR(80),
    created TIMESTAMP NOT NULL
);
CREATE TABLE sale (
    number   VARCHAR(20) PRIMARY KEY NOT NULL,
    customer INTEGER NOT NULL REFERENCES customer (id),
    cents    INTEGER NOT NULL,
    sold_at  TIMESTAMP NOT NULL,
    state    TEXT NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'delivered'))
);
