-- The CRM's side of 04_generated_keys.yaml.
CREATE TABLE account (
    id           uuid         PRIMARY KEY DEFAULT gen_random_uuid(),
    account_name varchar(120) NOT NULL,
    customer_no  varchar(12),
    vat_number   varchar(24),
    mail         varchar(120),
    fax          varchar(24),
    modified     timestamptz  NOT NULL DEFAULT now()      -- touched at every save
);
CREATE TABLE project (
    id         uuid          PRIMARY KEY DEFAULT gen_random_uuid(),
    account_id uuid          NOT NULL REFERENCES account,
    subject    varchar(120)  NOT NULL,
    amount     numeric(12,2)
);
