-- The CRM's side of 08_owned_by_the_erp.yaml.
CREATE TABLE users (
    id         uuid         PRIMARY KEY DEFAULT gen_random_uuid(),
    email      varchar(120) NOT NULL,
    full_name  varchar(120) NOT NULL,
    reports_to uuid         REFERENCES users,
    status     varchar(10)  NOT NULL CHECK (status IN ('Active', 'Inactive')),
    token      uuid         NOT NULL
);
CREATE TABLE product (
    id    uuid          PRIMARY KEY DEFAULT gen_random_uuid(),
    sku   varchar(24)   NOT NULL UNIQUE,
    label varchar(120)  NOT NULL,
    price numeric(12,2)
);
CREATE TABLE bundle_item (
    id     uuid    PRIMARY KEY DEFAULT gen_random_uuid(),
    bundle uuid    NOT NULL REFERENCES product,
    item   uuid    NOT NULL REFERENCES product,
    pieces integer NOT NULL
);
