-- The CRM's side of 16_crm_on_mariadb.yaml, on MariaDB.
CREATE TABLE industries (id int unsigned AUTO_INCREMENT PRIMARY KEY, name varchar(40) NOT NULL UNIQUE)
    COLLATE utf8mb4_unicode_ci;
INSERT INTO industries (name) VALUES ('Steel'), ('Textiles');
CREATE TABLE accounts (
    id              int unsigned AUTO_INCREMENT PRIMARY KEY,
    name            varchar(160) NOT NULL,
    vat_number      varchar(32)  UNIQUE,
    billing_street  varchar(120),
    billing_city    varchar(80),
    billing_country char(2),
    phone_office    varchar(40),
    stage           enum('Prospect', 'Active', 'Lost') NOT NULL DEFAULT 'Prospect',
    industry_id     int unsigned,
    opted_in        tinyint(1)   NOT NULL DEFAULT 0,
    last_visit      datetime,
    invoices        int          NOT NULL DEFAULT 0,
    date_entered    datetime     NOT NULL,
    date_modified   timestamp    NOT NULL DEFAULT current_timestamp ON UPDATE current_timestamp,   -- keeps itself
    KEY (name),
    FOREIGN KEY (industry_id) REFERENCES industries (id)
) COLLATE utf8mb4_unicode_ci;                    -- 'acme' and 'Acme ' are one text to it
CREATE TABLE contacts (
    id           int unsigned AUTO_INCREMENT PRIMARY KEY,
    account_id   int unsigned,
    email        varchar(120) NOT NULL UNIQUE,
    first_name   varchar(80),
    last_name    varchar(80)  NOT NULL,
    date_entered datetime     NOT NULL,
    FOREIGN KEY (account_id) REFERENCES accounts (id)        -- no CASCADE: the log would not tell what it does
) COLLATE utf8mb4_unicode_ci;
