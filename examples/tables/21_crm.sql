-- The CRM's side of 21_erp_by_odbc.yaml, on MariaDB.
CREATE TABLE account (
    code varchar(20) PRIMARY KEY, name varchar(80) NOT NULL, credit decimal(14,2), last_visit datetime(6), token char(36)
) COLLATE utf8mb4_unicode_ci;
CREATE TABLE contact (
    id int unsigned AUTO_INCREMENT PRIMARY KEY, email varchar(120) NOT NULL UNIQUE, name varchar(80) NOT NULL,
    account varchar(20), entered datetime NOT NULL,
    FOREIGN KEY (account) REFERENCES account (code)                      -- no CASCADE: no trigger would tell of it
) COLLATE utf8mb4_unicode_ci;
