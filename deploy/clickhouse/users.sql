-- Who may do what to the audit tables. Nobody can log in until you give them a password and an address:
--   ALTER USER sluice_writer IDENTIFIED WITH sha256_hash BY '<64 hex digits>' HOST IP '10.0.0.0/8';
-- On a cluster without replicated access storage, put ON CLUSTER audit behind each name.

CREATE USER IF NOT EXISTS sluice_migrator HOST NONE;

CREATE USER IF NOT EXISTS sluice_writer HOST NONE;

CREATE USER IF NOT EXISTS sluice_reader HOST NONE;

CREATE USER IF NOT EXISTS sluice_holder HOST NONE;

-- Defines tables when the gateway is upgraded, and at no other time.
GRANT CREATE DATABASE, CREATE TABLE, CREATE VIEW, DROP VIEW, ALTER ADD COLUMN, ALTER ADD INDEX, SELECT ON sluice.* TO sluice_migrator;

GRANT INSERT ON sluice.migrations TO sluice_migrator;

-- `audit.clickhouse.username` of a gateway: adds, and can neither read, change nor remove.
GRANT INSERT ON sluice.events TO sluice_writer;

GRANT INSERT ON sluice.payloads TO sluice_writer;

GRANT INSERT ON sluice.segments TO sluice_writer;

GRANT INSERT ON sluice.checkpoints TO sluice_writer;

GRANT SELECT ON sluice.migrations TO sluice_writer;

-- `audit.clickhouse.reader.username` of a gateway: answers auditors through it, and recalls what principals did before.
GRANT SELECT ON sluice.* TO sluice_reader;

-- Runs `sluice audit hold`: copies, and removes copies alone.
GRANT SELECT ON sluice.* TO sluice_holder;

GRANT INSERT, ALTER DELETE ON sluice.held_events TO sluice_holder;

GRANT INSERT, ALTER DELETE ON sluice.held_payloads TO sluice_holder;

GRANT INSERT ON sluice.legal_holds TO sluice_holder;

-- Auditors who ask ClickHouse itself, past the gateway and so past its record of what they asked.
CREATE ROLE IF NOT EXISTS sluice_auditor;

GRANT SELECT ON sluice.* TO sluice_auditor;

-- The same of one connection: records alone, no heads of the journals, no holds.
CREATE ROLE IF NOT EXISTS sluice_auditor_crm;

GRANT SELECT ON sluice.events TO sluice_auditor_crm;

GRANT SELECT ON sluice.payloads TO sluice_auditor_crm;

GRANT SELECT ON sluice.exchanges TO sluice_auditor_crm;

GRANT SELECT ON sluice.decisions TO sluice_auditor_crm;

GRANT SELECT ON sluice.holds TO sluice_auditor_crm;

GRANT SELECT ON sluice.approvals TO sluice_auditor_crm;

GRANT SELECT ON sluice.masked_columns TO sluice_auditor_crm;

GRANT SELECT ON sluice.findings TO sluice_auditor_crm;

GRANT SELECT ON sluice.resources TO sluice_auditor_crm;

GRANT SELECT ON sluice.denials TO sluice_auditor_crm;

GRANT SELECT ON sluice.bodies TO sluice_auditor_crm;

-- A table with row policies shows nothing to whom none of them names.
CREATE ROW POLICY IF NOT EXISTS sluice_all ON sluice.events USING 1 TO sluice_migrator, sluice_reader, sluice_holder, sluice_auditor;

CREATE ROW POLICY IF NOT EXISTS sluice_all ON sluice.payloads USING 1 TO sluice_migrator, sluice_reader, sluice_holder, sluice_auditor;

CREATE ROW POLICY IF NOT EXISTS sluice_crm ON sluice.events USING connection = 'crm' TO sluice_auditor_crm;

CREATE ROW POLICY IF NOT EXISTS sluice_crm ON sluice.payloads USING connection = 'crm' TO sluice_auditor_crm;

-- 2, because clients set what they need; what matters they cannot.
CREATE SETTINGS PROFILE IF NOT EXISTS sluice_auditor SETTINGS
  readonly = 2 CONST,
  allow_ddl = 0 CONST,
  allow_introspection_functions = 0 CONST,
  max_execution_time = 60 MIN 1 MAX 60,
  max_memory_usage = 4294967296 MIN 1 MAX 4294967296,
  max_rows_to_read = 2000000000 MIN 1 MAX 2000000000,
  max_result_rows = 1000000 MIN 1 MAX 1000000,
  max_result_bytes = 1073741824 MIN 1 MAX 1073741824,
  max_threads = 8 MIN 1 MAX 8
TO sluice_auditor, sluice_auditor_crm;

CREATE QUOTA IF NOT EXISTS sluice_auditor KEYED BY user_name
  FOR INTERVAL 1 hour MAX queries = 1000, execution_time = 1800, read_rows = 100000000000
TO sluice_auditor, sluice_auditor_crm;
