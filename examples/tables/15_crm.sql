-- The CRM's side of 15_held.yaml.
CREATE TABLE agreement (
    reference    varchar(12)  PRIMARY KEY,
    subject      varchar(200) NOT NULL,
    payment_days integer,
    discount     numeric(4,2),
    start_date   date,
    end_date     date
);
