-- The ERP's side of 12_spellings.yaml.
CREATE TABLE kunde (
    id        serial       PRIMARY KEY,
    ust_id    varchar(24),
    telefon   varchar(40),
    name      varchar(80)  NOT NULL,
    mail      varchar(120),
    fax       varchar(40)  NOT NULL DEFAULT '',
    land      varchar(3)   NOT NULL DEFAULT 'D',
    werbung   char(1)      NOT NULL DEFAULT 'N' CHECK (werbung IN ('J', 'N')),
    merkmale  text,
    besucht_am timestamp,
    aktiv     char(1)      NOT NULL DEFAULT 'N'
);
