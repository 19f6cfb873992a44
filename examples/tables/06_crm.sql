-- The CRM's side of 06_inheritance_and_links.yaml.
CREATE TABLE account (
    id              uuid         PRIMARY KEY DEFAULT gen_random_uuid(),
    account_name    varchar(160) NOT NULL,
    registration_no varchar(20),
    street          varchar(120),
    city            varchar(80)
);
CREATE TABLE contact (
    id         uuid         PRIMARY KEY DEFAULT gen_random_uuid(),
    full_name  varchar(160) NOT NULL,
    birthday   date,
    email      varchar(120),
    account_id uuid         REFERENCES account
);
