-- The CRM's side of 09_three_systems.yaml.
CREATE TABLE article (
    plant      varchar(4),
    article_no integer,
    title      varchar(120) NOT NULL,
    price      numeric(12,2),
    width      integer,
    height     integer,
    PRIMARY KEY (plant, article_no)
);
CREATE TABLE promise (
    id          uuid        PRIMARY KEY DEFAULT gen_random_uuid(),
    job_no      varchar(12) NOT NULL,
    pieces      integer     NOT NULL,
    promised_on date
);
