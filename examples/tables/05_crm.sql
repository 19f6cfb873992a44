-- The CRM's side of 05_parts.yaml.
CREATE TABLE company (
    id               integer      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name             varchar(160) NOT NULL,
    vat_number       varchar(32),
    billing_street   varchar(120),
    billing_city     varchar(80),
    billing_postcode varchar(12),
    billing_country  varchar(2),
    phone            varchar(200),
    mobile           varchar(200),
    email            varchar(200),
    website          varchar(200),
    segment          varchar(40),
    opened           integer      NOT NULL DEFAULT 0         -- the CRM's own affair
);
