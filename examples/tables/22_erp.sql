-- The ERP's side of 22_erp_on_sqlserver.yaml, on SQL Server.
CREATE TABLE [dbo].[CRONUS Ltd.$Customer] (
    [No.] nvarchar(20) NOT NULL PRIMARY KEY, [Name] nvarchar(100) NOT NULL, [Credit Limit] decimal(38,20) NOT NULL,
    [Blocked] tinyint NOT NULL DEFAULT 0, [Changed At] datetimeoffset(3), [timestamp] rowversion
);
CREATE TABLE [dbo].[SalesHeader] (
    [Id] int IDENTITY PRIMARY KEY, [OrderNo] nvarchar(20) NOT NULL UNIQUE,
    [CustomerNo] nvarchar(20) NOT NULL REFERENCES [dbo].[CRONUS Ltd.$Customer] ([No.]),
    [Amount] money NOT NULL, [Entered] datetime2(3) NOT NULL
);
