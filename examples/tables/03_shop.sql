-- The shop's side of 03_references.yaml.
CREATE TABLE category (
    code        varchar(12) PRIMARY KEY,
    title       varchar(80) NOT NULL,
    parent_code varchar(12) REFERENCES category
);
CREATE TABLE article (
    article_no varchar(24)  PRIMARY KEY,
    title      varchar(160) NOT NULL,
    category   varchar(12)  NOT NULL REFERENCES category,
    clicks     integer      NOT NULL DEFAULT 0
);
CREATE TABLE article_price (
    article varchar(24)   REFERENCES article,
    pieces  integer,
    price   numeric(12,2) NOT NULL,
    PRIMARY KEY (article, pieces)
);
