-- The ERP's side of 06_inheritance_and_links.yaml.
CREATE TABLE party (
    id           serial       PRIMARY KEY,
    name         varchar(160) NOT NULL,
    main_address integer,
    made_by      varchar(20)  NOT NULL
);
CREATE TABLE address (
    id     serial  PRIMARY KEY,
    party  integer NOT NULL REFERENCES party ON DELETE CASCADE,
    street varchar(120),
    city   varchar(80)
);
ALTER TABLE party ADD FOREIGN KEY (main_address) REFERENCES address;     -- a circle: each points at the other
CREATE TABLE company (
    id              integer PRIMARY KEY REFERENCES party ON DELETE CASCADE,
    registration_no varchar(20),
    active          boolean NOT NULL DEFAULT false
);
CREATE TABLE person (
    id   integer PRIMARY KEY REFERENCES party ON DELETE CASCADE,
    born date
);
CREATE TABLE contact (
    id    integer PRIMARY KEY REFERENCES person ON DELETE CASCADE,
    email varchar(120)
);
CREATE TABLE relation (
    id         serial      PRIMARY KEY,
    kind       varchar(12) NOT NULL CHECK (kind IN ('works_for', 'employs')),
    from_party integer     NOT NULL REFERENCES party ON DELETE CASCADE,
    to_party   integer     NOT NULL REFERENCES party ON DELETE CASCADE,
    opposite   integer     UNIQUE REFERENCES relation ON DELETE SET NULL
);
CREATE INDEX ON address (party);
CREATE INDEX ON relation (from_party);
