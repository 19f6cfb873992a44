-- The shop's side of 03_three_systems.yaml.
CREATE TABLE article (
    plant      varchar(4),
    article_no integer,
    title      varchar(120) NOT NULL,
    price      numeric(12,2),
    width      integer,
    height     integer,
    PRIMARY KEY (plant, article_no)
);
