-- The CRM's side of 12_spellings.yaml.
CREATE TABLE company (
    id         uuid         PRIMARY KEY DEFAULT gen_random_uuid(),
    vat_number varchar(20),
    phone      varchar(40),
    name       varchar(120) NOT NULL,
    email      varchar(120) CHECK (email = lower(email)),
    fax        varchar(40),
    country    char(2)      NOT NULL DEFAULT 'DE',
    newsletter varchar(3)   NOT NULL DEFAULT 'no',
    interests  text[],
    last_visit timestamptz
);
