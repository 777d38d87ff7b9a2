-- Made by `sluice audit ddl --cluster audit --database sluice`, schema 5. Do not edit.
-- Run by a user that may define tables: clickhouse-client --multiquery < this file. Running it again changes nothing.

CREATE DATABASE IF NOT EXISTS `sluice` ON CLUSTER `audit`;

CREATE TABLE IF NOT EXISTS `sluice`.`events` ON CLUSTER `audit` (
  `ts` DateTime64(6, 'UTC') COMMENT 'when it happened, UTC' CODEC(Delta(8), ZSTD(1)),
  `record_id` UUID COMMENT 'of this record alone; a UUIDv7' CODEC(ZSTD(1)),
  `exchange_id` UUID COMMENT 'of the exchange it belongs to: the `Sluice-Exchange` header of the answer' CODEC(ZSTD(1)),
  `kind` LowCardinality(String) COMMENT 'refused, decided, completed, failed, settled, hold, looked, audit-query, policy, started or stopped' CODEC(ZSTD(1)),
  `surface` LowCardinality(String) COMMENT 'the door: query, preflight, holds, audit, connections, gateway' CODEC(ZSTD(1)),
  `plane` LowCardinality(String) COMMENT 'agents or people; empty where nobody was proven' CODEC(ZSTD(1)),
  `issuer` LowCardinality(String) COMMENT 'who vouched for the principal; keys for API keys' CODEC(ZSTD(1)),
  `subject` LowCardinality(String) COMMENT 'the principal, as its issuer names it' CODEC(ZSTD(1)),
  `principal_kind` LowCardinality(String) COMMENT 'agent, service or person' CODEC(ZSTD(1)),
  `groups` Array(LowCardinality(String)) COMMENT 'the groups of the principal' CODEC(ZSTD(1)),
  `acts_for_issuer` LowCardinality(String) COMMENT 'who vouched for the person for whom the agent acts' CODEC(ZSTD(1)),
  `acts_for_subject` String COMMENT 'the person for whom the agent acts' CODEC(ZSTD(1)),
  `connection` LowCardinality(String) COMMENT 'the upstream by its configured name' CODEC(ZSTD(1)),
  `purpose` String COMMENT 'why, in the words of the requester' CODEC(ZSTD(1)),
  `language` LowCardinality(String) COMMENT 'of the statement' CODEC(ZSTD(1)),
  `statement_kind` LowCardinality(String) COMMENT 'SELECT, INSERT, ... as BigQuery names it' CODEC(ZSTD(1)),
  `statement` String COMMENT 'the text as it was analysed, or as it was sent where it was refused' CODEC(ZSTD(3)),
  `actions` Array(LowCardinality(String)) COMMENT 'read, write, define, delete, ...; each on the table at the same position in `tables`' CODEC(ZSTD(1)),
  `tables` Array(LowCardinality(String)) COMMENT 'the tables and views that are touched' CODEC(ZSTD(1)),
  `vias` Array(LowCardinality(String)) COMMENT 'the view through which, or empty where it is named in the text itself' CODEC(ZSTD(1)),
  `parameters` Array(String) COMMENT 'names and types of the parameters; values are never recorded' CODEC(ZSTD(1)),
  `estimated_bytes` Nullable(UInt64) COMMENT 'bytes that the dry run said it would read' CODEC(ZSTD(1)),
  `effect` LowCardinality(String) COMMENT 'permit, hold or deny' CODEC(ZSTD(1)),
  `reason_codes` Array(LowCardinality(String)) COMMENT 'why, as codes: policy/rule, or a code of the gateway' CODEC(ZSTD(1)),
  `reason_texts` Array(String) COMMENT 'why, in words; each for the code at the same position' CODEC(ZSTD(1)),
  `reasons` String COMMENT 'why, whole, as JSON' CODEC(ZSTD(1)),
  `obligations` String COMMENT 'what the permit demanded (masks, limits), as JSON' CODEC(ZSTD(1)),
  `approver_groups` String COMMENT 'who may approve, as JSON: one entry per rule that holds' CODEC(ZSTD(1)),
  `hold_expires_at` Nullable(DateTime64(3, 'UTC')) COMMENT 'until when it may be approved' CODEC(ZSTD(1)),
  `findings` String COMMENT 'what the plugins saw, as JSON' CODEC(ZSTD(1)),
  `policy` LowCardinality(String) COMMENT 'digest of the policies in force' CODEC(ZSTD(1)),
  `failure_code` LowCardinality(String) COMMENT 'why it was refused or failed' CODEC(ZSTD(1)),
  `failure_message` String COMMENT 'the same in words' CODEC(ZSTD(1)),
  `ran` String COMMENT 'the text that truly ran, masks and all' CODEC(ZSTD(3)),
  `job` String COMMENT 'the job id of the upstream' CODEC(ZSTD(1)),
  `row_count` Nullable(UInt64) COMMENT 'rows that were answered' CODEC(ZSTD(1)),
  `byte_count` Nullable(UInt64) COMMENT 'bytes of rows that were answered' CODEC(ZSTD(1)),
  `masked_tables` Array(LowCardinality(String)) COMMENT 'the table of each masked column' CODEC(ZSTD(1)),
  `masked_columns` Array(LowCardinality(String)) COMMENT 'columns that were masked in what ran' CODEC(ZSTD(1)),
  `masked_strategies` Array(LowCardinality(String)) COMMENT 'how each was masked' CODEC(ZSTD(1)),
  `ending` LowCardinality(String) COMMENT 'whole or cut' CODEC(ZSTD(1)),
  `cut` String COMMENT 'why it was cut' CODEC(ZSTD(1)),
  `bytes_processed` Nullable(UInt64) COMMENT 'as the upstream says' CODEC(ZSTD(1)),
  `bytes_billed` Nullable(UInt64) COMMENT 'as the upstream says' CODEC(ZSTD(1)),
  `cache_hit` Nullable(Bool) COMMENT 'as the upstream says' CODEC(ZSTD(1)),
  `rows_affected` Nullable(UInt64) COMMENT 'rows that DML changed' CODEC(ZSTD(1)),
  `duration_ms` Nullable(Float64) COMMENT 'how long the upstream took' CODEC(ZSTD(1)),
  `hold_id` String COMMENT 'the hold that changed its state' CODEC(ZSTD(1)),
  `hold_state` LowCardinality(String) COMMENT 'the state it moved to' CODEC(ZSTD(1)),
  `hold_comment` String COMMENT 'the words of whoever moved it' CODEC(ZSTD(1)),
  `note` String COMMENT 'what changed, for policy, started and stopped; what was found out, for settled; what was shown, for looked' CODEC(ZSTD(1)),
  `writer` LowCardinality(String) COMMENT 'the gateway that wrote it' CODEC(ZSTD(1)),
  `epoch` UUID COMMENT 'of its journal; a new one where the journal began anew' CODEC(ZSTD(1)),
  `retain_until` Date COMMENT 'kept until then' CODEC(ZSTD(1)),
  `shape` LowCardinality(String) COMMENT 'the statement but for its literals: 16 hex digits, equal where only literals differ' CODEC(ZSTD(1)),
  `status` Nullable(UInt64) COMMENT 'the status of an HTTP answer' CODEC(ZSTD(1)),
  `masked_counts` Array(UInt64) COMMENT 'how many values of each masked column were masked; 0 where they are not counted' CODEC(ZSTD(1)),
  `request_type` LowCardinality(String) COMMENT 'the content type of the body that was sent' CODEC(ZSTD(1)),
  `request_bytes` Nullable(UInt64) COMMENT 'the size of the body that was sent' CODEC(ZSTD(1)),
  `request_digest` LowCardinality(String) COMMENT 'the SHA-256 of the body that was sent, 64 hex digits' CODEC(ZSTD(1)),
  `request_body` String COMMENT 'the body that was sent, where it is text; a mark where it was cut' CODEC(ZSTD(1)),
  `received_at` Nullable(DateTime64(6, 'UTC')) COMMENT 'when the request came, UTC' CODEC(ZSTD(1)),
  `first_byte_ms` Nullable(Float64) COMMENT 'from the request to the first byte of the answer' CODEC(ZSTD(1)),
  `total_ms` Nullable(Float64) COMMENT 'from the request to this end' CODEC(ZSTD(1)),
  `weighed` String COMMENT 'what policies weighed of the statement, as JSON: the decision can be made again from it' CODEC(ZSTD(1)),
  `request_recorded` LowCardinality(String) COMMENT 'how the request is kept in `payloads`: full, first or digest; empty: not at all' CODEC(ZSTD(1)),
  `request_kept` Nullable(UInt64) COMMENT 'bytes of the request that are kept in `payloads`' CODEC(ZSTD(1)),
  `request_kept_digest` LowCardinality(String) COMMENT 'the SHA-256 of those, 64 hex digits' CODEC(ZSTD(1)),
  `answer_type` LowCardinality(String) COMMENT 'the content type of the answer as it is recorded' CODEC(ZSTD(1)),
  `answer_recorded` LowCardinality(String) COMMENT 'how the answer is kept in `payloads`: full, first or digest; empty: not at all' CODEC(ZSTD(1)),
  `answer_bytes` Nullable(UInt64) COMMENT 'bytes of the whole answer as it would be recorded in full' CODEC(ZSTD(1)),
  `answer_digest` LowCardinality(String) COMMENT 'the SHA-256 of those, 64 hex digits' CODEC(ZSTD(1)),
  `answer_kept` Nullable(UInt64) COMMENT 'bytes of the answer that are kept in `payloads`' CODEC(ZSTD(1)),
  `answer_kept_digest` LowCardinality(String) COMMENT 'the SHA-256 of those, 64 hex digits' CODEC(ZSTD(1)),
  `outcome` LowCardinality(String) COMMENT 'for settled: ran, not-run or unknown, as the upstream says' CODEC(ZSTD(1)),
  `documents` String COMMENT 'for started and policy: the documents in force, as JSON' CODEC(ZSTD(1)),
  `segment` UInt64 COMMENT 'of the journal' CODEC(Delta(8), ZSTD(1)),
  `writer_seq` UInt64 COMMENT 'position in the journal: contiguous for a writer and epoch' CODEC(Delta(8), ZSTD(1)),
  INDEX ix_exchange exchange_id TYPE bloom_filter(0.01) GRANULARITY 1,
  INDEX ix_subject subject TYPE bloom_filter(0.01) GRANULARITY 1,
  INDEX ix_asked UUIDv7ToDateTime(exchange_id, 'UTC') TYPE minmax GRANULARITY 1,
  INDEX ix_segment segment TYPE minmax GRANULARITY 1,
  INDEX ix_touched tables TYPE text(tokenizer = 'array'),
  INDEX ix_statement statement TYPE text(tokenizer = 'splitByNonAlpha')
) ENGINE = ReplicatedMergeTree('/clickhouse/tables/sluice/events', '{replica}') PARTITION BY toYYYYMM(ts) ORDER BY (kind, ts, record_id) TTL retain_until DELETE
SETTINGS replicated_deduplication_window = 10000, replicated_deduplication_window_seconds = 2592000, index_granularity = 2048
COMMENT 'every audit record as it was written';

CREATE TABLE IF NOT EXISTS `sluice`.`payloads` ON CLUSTER `audit` (
  `ts` DateTime64(6, 'UTC') COMMENT 'when this piece went out or came in, UTC' CODEC(Delta(8), ZSTD(1)),
  `exchange_id` UUID COMMENT 'of the exchange it belongs to' CODEC(ZSTD(1)),
  `direction` LowCardinality(String) COMMENT 'request, answer or sealed: originals of masked values, encrypted for the auditors' CODEC(ZSTD(1)),
  `chunk` UInt64 COMMENT 'counts from 0 within the exchange and direction' CODEC(ZSTD(1)),
  `offset` UInt64 COMMENT 'of its first byte in the body' CODEC(ZSTD(1)),
  `type` LowCardinality(String) COMMENT 'the content type of the body' CODEC(ZSTD(1)),
  `content` String COMMENT 'the bytes, with keyed digests in the place of secret values' CODEC(ZSTD(3)),
  `is_last` Bool COMMENT 'no piece follows' CODEC(ZSTD(1)),
  `mark` String COMMENT 'on the last piece: why the body is not whole; empty where it is' CODEC(ZSTD(1)),
  `digests` Array(String) COMMENT 'keyed digests of the secret values in this piece, 32 hex digits each' CODEC(ZSTD(1)),
  `connection` LowCardinality(String) COMMENT 'the upstream by its configured name' CODEC(ZSTD(1)),
  `issuer` LowCardinality(String) COMMENT 'who vouched for the principal' CODEC(ZSTD(1)),
  `subject` LowCardinality(String) COMMENT 'the principal' CODEC(ZSTD(1)),
  `writer` LowCardinality(String) COMMENT 'the gateway that wrote it' CODEC(ZSTD(1)),
  `epoch` UUID COMMENT 'of its payload log' CODEC(ZSTD(1)),
  `retain_until` Date COMMENT 'kept until then' CODEC(ZSTD(1)),
  `segment` UInt64 COMMENT 'of the payload log' CODEC(Delta(8), ZSTD(1)),
  `writer_seq` UInt64 COMMENT 'position in the payload log' CODEC(Delta(8), ZSTD(1)),
  INDEX ix_digests digests TYPE bloom_filter(0.01) GRANULARITY 1
) ENGINE = ReplicatedMergeTree('/clickhouse/tables/sluice/payloads', '{replica}') PARTITION BY toYYYYMM(ts) ORDER BY (exchange_id, direction, chunk) TTL retain_until DELETE
SETTINGS replicated_deduplication_window = 10000, replicated_deduplication_window_seconds = 2592000
COMMENT 'bodies of requests and answers as they went out, piece by piece';

CREATE TABLE IF NOT EXISTS `sluice`.`segments` ON CLUSTER `audit` (
  `writer` LowCardinality(String) COMMENT 'the gateway that wrote it',
  `epoch` UUID COMMENT 'of its journal',
  `segment` UInt64 COMMENT 'of the journal; the first is 1',
  `schema` UInt8 COMMENT 'the version of the schema that its rows have',
  `first_seq` UInt64 COMMENT 'the `writer_seq` of its first record',
  `records` UInt64 COMMENT 'how many records it has',
  `root` String COMMENT 'the Merkle root over its rows (RFC 6962, SHA-256), 64 hex digits; empty: it was damaged before it was shipped',
  `leaves` String COMMENT 'the leaf hash of each row, 32 bytes each, in order',
  `days` String COMMENT 'the day of `retain_until` of each row, 2 bytes each, little-endian, in order',
  `sealed_at` DateTime64(3, 'UTC') COMMENT 'when its last record was written; 1970 where it has none that can be read'
) ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/sluice/segments', '{replica}') ORDER BY (writer, epoch, segment)
SETTINGS replicated_deduplication_window = 10000, replicated_deduplication_window_seconds = 2592000
COMMENT 'what each sealed segment of the journal hashes to';

CREATE TABLE IF NOT EXISTS `sluice`.`checkpoints` ON CLUSTER `audit` (
  `origin` LowCardinality(String) COMMENT 'the log: the first line of the checkpoint',
  `writer` LowCardinality(String) COMMENT 'the gateway that signed it',
  `epoch` UUID COMMENT 'of its journal',
  `size` UInt64 COMMENT 'how many segments it covers',
  `root` String COMMENT 'the Merkle root over their entries, base64',
  `signed_at` DateTime64(3, 'UTC') COMMENT 'when it was signed',
  `note` String COMMENT 'the whole signed note (C2SP tlog-checkpoint), with the cosignatures of witnesses'
) ENGINE = ReplicatedMergeTree('/clickhouse/tables/sluice/checkpoints', '{replica}') ORDER BY (writer, epoch, signed_at)
SETTINGS replicated_deduplication_window = 10000, replicated_deduplication_window_seconds = 2592000
COMMENT 'signed tree heads of the journals';

CREATE TABLE IF NOT EXISTS `sluice`.`held_events` ON CLUSTER `audit` (
  `hold` LowCardinality(String) COMMENT 'the name of the legal hold' CODEC(ZSTD(1)),
  `ts` DateTime64(6, 'UTC') COMMENT 'when it happened, UTC' CODEC(Delta(8), ZSTD(1)),
  `record_id` UUID COMMENT 'of this record alone; a UUIDv7' CODEC(ZSTD(1)),
  `exchange_id` UUID COMMENT 'of the exchange it belongs to: the `Sluice-Exchange` header of the answer' CODEC(ZSTD(1)),
  `kind` LowCardinality(String) COMMENT 'refused, decided, completed, failed, settled, hold, looked, audit-query, policy, started or stopped' CODEC(ZSTD(1)),
  `surface` LowCardinality(String) COMMENT 'the door: query, preflight, holds, audit, connections, gateway' CODEC(ZSTD(1)),
  `plane` LowCardinality(String) COMMENT 'agents or people; empty where nobody was proven' CODEC(ZSTD(1)),
  `issuer` LowCardinality(String) COMMENT 'who vouched for the principal; keys for API keys' CODEC(ZSTD(1)),
  `subject` LowCardinality(String) COMMENT 'the principal, as its issuer names it' CODEC(ZSTD(1)),
  `principal_kind` LowCardinality(String) COMMENT 'agent, service or person' CODEC(ZSTD(1)),
  `groups` Array(LowCardinality(String)) COMMENT 'the groups of the principal' CODEC(ZSTD(1)),
  `acts_for_issuer` LowCardinality(String) COMMENT 'who vouched for the person for whom the agent acts' CODEC(ZSTD(1)),
  `acts_for_subject` String COMMENT 'the person for whom the agent acts' CODEC(ZSTD(1)),
  `connection` LowCardinality(String) COMMENT 'the upstream by its configured name' CODEC(ZSTD(1)),
  `purpose` String COMMENT 'why, in the words of the requester' CODEC(ZSTD(1)),
  `language` LowCardinality(String) COMMENT 'of the statement' CODEC(ZSTD(1)),
  `statement_kind` LowCardinality(String) COMMENT 'SELECT, INSERT, ... as BigQuery names it' CODEC(ZSTD(1)),
  `statement` String COMMENT 'the text as it was analysed, or as it was sent where it was refused' CODEC(ZSTD(3)),
  `actions` Array(LowCardinality(String)) COMMENT 'read, write, define, delete, ...; each on the table at the same position in `tables`' CODEC(ZSTD(1)),
  `tables` Array(LowCardinality(String)) COMMENT 'the tables and views that are touched' CODEC(ZSTD(1)),
  `vias` Array(LowCardinality(String)) COMMENT 'the view through which, or empty where it is named in the text itself' CODEC(ZSTD(1)),
  `parameters` Array(String) COMMENT 'names and types of the parameters; values are never recorded' CODEC(ZSTD(1)),
  `estimated_bytes` Nullable(UInt64) COMMENT 'bytes that the dry run said it would read' CODEC(ZSTD(1)),
  `effect` LowCardinality(String) COMMENT 'permit, hold or deny' CODEC(ZSTD(1)),
  `reason_codes` Array(LowCardinality(String)) COMMENT 'why, as codes: policy/rule, or a code of the gateway' CODEC(ZSTD(1)),
  `reason_texts` Array(String) COMMENT 'why, in words; each for the code at the same position' CODEC(ZSTD(1)),
  `reasons` String COMMENT 'why, whole, as JSON' CODEC(ZSTD(1)),
  `obligations` String COMMENT 'what the permit demanded (masks, limits), as JSON' CODEC(ZSTD(1)),
  `approver_groups` String COMMENT 'who may approve, as JSON: one entry per rule that holds' CODEC(ZSTD(1)),
  `hold_expires_at` Nullable(DateTime64(3, 'UTC')) COMMENT 'until when it may be approved' CODEC(ZSTD(1)),
  `findings` String COMMENT 'what the plugins saw, as JSON' CODEC(ZSTD(1)),
  `policy` LowCardinality(String) COMMENT 'digest of the policies in force' CODEC(ZSTD(1)),
  `failure_code` LowCardinality(String) COMMENT 'why it was refused or failed' CODEC(ZSTD(1)),
  `failure_message` String COMMENT 'the same in words' CODEC(ZSTD(1)),
  `ran` String COMMENT 'the text that truly ran, masks and all' CODEC(ZSTD(3)),
  `job` String COMMENT 'the job id of the upstream' CODEC(ZSTD(1)),
  `row_count` Nullable(UInt64) COMMENT 'rows that were answered' CODEC(ZSTD(1)),
  `byte_count` Nullable(UInt64) COMMENT 'bytes of rows that were answered' CODEC(ZSTD(1)),
  `masked_tables` Array(LowCardinality(String)) COMMENT 'the table of each masked column' CODEC(ZSTD(1)),
  `masked_columns` Array(LowCardinality(String)) COMMENT 'columns that were masked in what ran' CODEC(ZSTD(1)),
  `masked_strategies` Array(LowCardinality(String)) COMMENT 'how each was masked' CODEC(ZSTD(1)),
  `ending` LowCardinality(String) COMMENT 'whole or cut' CODEC(ZSTD(1)),
  `cut` String COMMENT 'why it was cut' CODEC(ZSTD(1)),
  `bytes_processed` Nullable(UInt64) COMMENT 'as the upstream says' CODEC(ZSTD(1)),
  `bytes_billed` Nullable(UInt64) COMMENT 'as the upstream says' CODEC(ZSTD(1)),
  `cache_hit` Nullable(Bool) COMMENT 'as the upstream says' CODEC(ZSTD(1)),
  `rows_affected` Nullable(UInt64) COMMENT 'rows that DML changed' CODEC(ZSTD(1)),
  `duration_ms` Nullable(Float64) COMMENT 'how long the upstream took' CODEC(ZSTD(1)),
  `hold_id` String COMMENT 'the hold that changed its state' CODEC(ZSTD(1)),
  `hold_state` LowCardinality(String) COMMENT 'the state it moved to' CODEC(ZSTD(1)),
  `hold_comment` String COMMENT 'the words of whoever moved it' CODEC(ZSTD(1)),
  `note` String COMMENT 'what changed, for policy, started and stopped; what was found out, for settled; what was shown, for looked' CODEC(ZSTD(1)),
  `writer` LowCardinality(String) COMMENT 'the gateway that wrote it' CODEC(ZSTD(1)),
  `epoch` UUID COMMENT 'of its journal; a new one where the journal began anew' CODEC(ZSTD(1)),
  `retain_until` Date COMMENT 'kept until then' CODEC(ZSTD(1)),
  `shape` LowCardinality(String) COMMENT 'the statement but for its literals: 16 hex digits, equal where only literals differ' CODEC(ZSTD(1)),
  `status` Nullable(UInt64) COMMENT 'the status of an HTTP answer' CODEC(ZSTD(1)),
  `masked_counts` Array(UInt64) COMMENT 'how many values of each masked column were masked; 0 where they are not counted' CODEC(ZSTD(1)),
  `request_type` LowCardinality(String) COMMENT 'the content type of the body that was sent' CODEC(ZSTD(1)),
  `request_bytes` Nullable(UInt64) COMMENT 'the size of the body that was sent' CODEC(ZSTD(1)),
  `request_digest` LowCardinality(String) COMMENT 'the SHA-256 of the body that was sent, 64 hex digits' CODEC(ZSTD(1)),
  `request_body` String COMMENT 'the body that was sent, where it is text; a mark where it was cut' CODEC(ZSTD(1)),
  `received_at` Nullable(DateTime64(6, 'UTC')) COMMENT 'when the request came, UTC' CODEC(ZSTD(1)),
  `first_byte_ms` Nullable(Float64) COMMENT 'from the request to the first byte of the answer' CODEC(ZSTD(1)),
  `total_ms` Nullable(Float64) COMMENT 'from the request to this end' CODEC(ZSTD(1)),
  `weighed` String COMMENT 'what policies weighed of the statement, as JSON: the decision can be made again from it' CODEC(ZSTD(1)),
  `request_recorded` LowCardinality(String) COMMENT 'how the request is kept in `payloads`: full, first or digest; empty: not at all' CODEC(ZSTD(1)),
  `request_kept` Nullable(UInt64) COMMENT 'bytes of the request that are kept in `payloads`' CODEC(ZSTD(1)),
  `request_kept_digest` LowCardinality(String) COMMENT 'the SHA-256 of those, 64 hex digits' CODEC(ZSTD(1)),
  `answer_type` LowCardinality(String) COMMENT 'the content type of the answer as it is recorded' CODEC(ZSTD(1)),
  `answer_recorded` LowCardinality(String) COMMENT 'how the answer is kept in `payloads`: full, first or digest; empty: not at all' CODEC(ZSTD(1)),
  `answer_bytes` Nullable(UInt64) COMMENT 'bytes of the whole answer as it would be recorded in full' CODEC(ZSTD(1)),
  `answer_digest` LowCardinality(String) COMMENT 'the SHA-256 of those, 64 hex digits' CODEC(ZSTD(1)),
  `answer_kept` Nullable(UInt64) COMMENT 'bytes of the answer that are kept in `payloads`' CODEC(ZSTD(1)),
  `answer_kept_digest` LowCardinality(String) COMMENT 'the SHA-256 of those, 64 hex digits' CODEC(ZSTD(1)),
  `outcome` LowCardinality(String) COMMENT 'for settled: ran, not-run or unknown, as the upstream says' CODEC(ZSTD(1)),
  `documents` String COMMENT 'for started and policy: the documents in force, as JSON' CODEC(ZSTD(1)),
  `segment` UInt64 COMMENT 'of the journal' CODEC(Delta(8), ZSTD(1)),
  `writer_seq` UInt64 COMMENT 'position in the journal: contiguous for a writer and epoch' CODEC(Delta(8), ZSTD(1))
) ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/sluice/held_events', '{replica}') PARTITION BY hold ORDER BY (hold, ts, record_id)
COMMENT 'copies of records under a legal hold: they do not expire';

CREATE TABLE IF NOT EXISTS `sluice`.`held_payloads` ON CLUSTER `audit` (
  `hold` LowCardinality(String) COMMENT 'the name of the legal hold' CODEC(ZSTD(1)),
  `ts` DateTime64(6, 'UTC') COMMENT 'when this piece went out or came in, UTC' CODEC(Delta(8), ZSTD(1)),
  `exchange_id` UUID COMMENT 'of the exchange it belongs to' CODEC(ZSTD(1)),
  `direction` LowCardinality(String) COMMENT 'request, answer or sealed: originals of masked values, encrypted for the auditors' CODEC(ZSTD(1)),
  `chunk` UInt64 COMMENT 'counts from 0 within the exchange and direction' CODEC(ZSTD(1)),
  `offset` UInt64 COMMENT 'of its first byte in the body' CODEC(ZSTD(1)),
  `type` LowCardinality(String) COMMENT 'the content type of the body' CODEC(ZSTD(1)),
  `content` String COMMENT 'the bytes, with keyed digests in the place of secret values' CODEC(ZSTD(3)),
  `is_last` Bool COMMENT 'no piece follows' CODEC(ZSTD(1)),
  `mark` String COMMENT 'on the last piece: why the body is not whole; empty where it is' CODEC(ZSTD(1)),
  `digests` Array(String) COMMENT 'keyed digests of the secret values in this piece, 32 hex digits each' CODEC(ZSTD(1)),
  `connection` LowCardinality(String) COMMENT 'the upstream by its configured name' CODEC(ZSTD(1)),
  `issuer` LowCardinality(String) COMMENT 'who vouched for the principal' CODEC(ZSTD(1)),
  `subject` LowCardinality(String) COMMENT 'the principal' CODEC(ZSTD(1)),
  `writer` LowCardinality(String) COMMENT 'the gateway that wrote it' CODEC(ZSTD(1)),
  `epoch` UUID COMMENT 'of its payload log' CODEC(ZSTD(1)),
  `retain_until` Date COMMENT 'kept until then' CODEC(ZSTD(1)),
  `segment` UInt64 COMMENT 'of the payload log' CODEC(Delta(8), ZSTD(1)),
  `writer_seq` UInt64 COMMENT 'position in the payload log' CODEC(Delta(8), ZSTD(1))
) ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/sluice/held_payloads', '{replica}') PARTITION BY hold ORDER BY (hold, exchange_id, direction, chunk, writer_seq)
COMMENT 'copies of pieces of bodies under a legal hold: they do not expire';

CREATE TABLE IF NOT EXISTS `sluice`.`legal_holds` ON CLUSTER `audit` (
  `hold` String COMMENT 'its name',
  `at` DateTime64(3, 'UTC') COMMENT 'when this was done, UTC',
  `state` LowCardinality(String) COMMENT 'held: begun, or what is new was copied; released: its copies are gone',
  `actor` String COMMENT 'who did it, as the operating system names them',
  `reason` String COMMENT 'why, in their words',
  `scope` String COMMENT 'what it holds, as JSON: principals, connections, from, to',
  `records` UInt64 COMMENT 'copies in `held_events` afterwards',
  `pieces` UInt64 COMMENT 'copies in `held_payloads` afterwards'
) ENGINE = ReplicatedMergeTree('/clickhouse/tables/sluice/legal_holds', '{replica}') ORDER BY (hold, at)
COMMENT 'what was put under a legal hold and what was let go, by whom and why';

CREATE TABLE IF NOT EXISTS `sluice`.`migrations` ON CLUSTER `audit` (
  `version` UInt32 COMMENT 'of the schema',
  `name` String COMMENT 'what it brought',
  `applied_at` DateTime64(3, 'UTC') COMMENT 'UTC'
) ENGINE = ReplicatedMergeTree('/clickhouse/tables/sluice/migrations', '{replica}') ORDER BY version
COMMENT 'versions of this schema';

CREATE OR REPLACE VIEW `sluice`.`exchanges` ON CLUSTER `audit` (`exchange_id` UUID COMMENT 'the `Sluice-Exchange` header of the answer', `asked_at` DateTime64(3, 'UTC') COMMENT 'when it was asked, UTC: a filter on it reads that time alone', `ended_at` DateTime64(6, 'UTC') COMMENT 'its last record, UTC', `surface` String COMMENT 'the door: query, preflight, ...', `issuer` String COMMENT 'who vouched for the principal', `principal` String COMMENT 'who asked', `principal_kind` String COMMENT 'agent, service or person', `groups` Array(String) COMMENT 'the groups of the principal', `acts_for` String COMMENT 'the person for whom the agent acted', `connection` String COMMENT 'the upstream', `purpose` String COMMENT 'why, in the words of the requester', `statement_kind` String COMMENT 'SELECT, INSERT, ...', `statement` String COMMENT 'the text as it was analysed, or as it was sent where it was refused', `shape` String COMMENT 'equal for statements that differ in literals only; empty where it was not analysed', `tables` Array(String) COMMENT 'what it touches', `effect` String COMMENT 'the last decision: permit, hold, deny; empty where it was refused before', `reason_codes` Array(String) COMMENT 'why, as codes', `reason_texts` Array(String) COMMENT 'why, in words', `policy` String COMMENT 'digest of the policies that decided', `outcome` String COMMENT 'answered, cut, failed, denied, held, foreseen (preflight), refused; ran or not-run: a crash left it open and the upstream told afterwards; unknown: permitted, and no end is known', `outcome_unknown` Bool COMMENT 'permitted, and neither an answer nor a failure is recorded or was found out: it runs, or the gateway died while it ran', `settled` String COMMENT 'ran, not-run or unknown: what was found out after a crash; empty where none was', `settled_note` String COMMENT 'the same in words', `row_count` Nullable(UInt64) COMMENT 'rows that were answered', `byte_count` Nullable(UInt64) COMMENT 'bytes of rows that were answered', `status` Nullable(UInt64) COMMENT 'the status of an HTTP answer', `request_type` String COMMENT 'the content type of the body that was sent to an HTTP API', `request_bytes` Nullable(UInt64) COMMENT 'its size', `request_digest` String COMMENT 'its SHA-256', `request_body` String COMMENT 'the body itself, where it is text; a mark where it was cut', `masked` Array(String) COMMENT '`table.column strategy` of each masked column', `ending` String COMMENT 'whole or cut', `cut` String COMMENT 'why it was cut', `failure_code` String COMMENT 'why it was refused or failed', `failure_message` String COMMENT 'the same in words', `hold_state` String COMMENT 'the last state of its hold; empty where it was not held', `ran` String COMMENT 'the text that truly ran, masks and all', `job` String COMMENT 'the job id of the upstream', `first_byte_ms` Nullable(Float64) COMMENT 'from the request to the first byte of the answer', `total_ms` Nullable(Float64) COMMENT 'from the request to its end', `request_recorded` String COMMENT 'how the request is kept: full, first or digest; empty: not at all', `request_kept` Nullable(UInt64) COMMENT 'bytes of it that are kept', `answer_type` String COMMENT 'the content type of the answer as it is recorded', `answer_recorded` String COMMENT 'how the answer is kept: full, first or digest; empty: not at all', `answer_bytes` Nullable(UInt64) COMMENT 'bytes of it, were it kept in full', `answer_kept` Nullable(UInt64) COMMENT 'bytes of it that are kept', `answer_digest` String COMMENT 'the SHA-256 of the whole') AS
SELECT `exchange_id` AS `exchange_id`, UUIDv7ToDateTime(exchange_id, 'UTC') AS `asked_at`, CAST(x_ended_at, 'DateTime64(6, \'UTC\')') AS `ended_at`, CAST(x_surface, 'String') AS `surface`, CAST(x_issuer, 'String') AS `issuer`, CAST(x_subject, 'String') AS `principal`, CAST(x_principal_kind, 'String') AS `principal_kind`, CAST(x_groups, 'Array(String)') AS `groups`, CAST(x_acts_for, 'String') AS `acts_for`, CAST(x_connection, 'String') AS `connection`, CAST(x_purpose, 'String') AS `purpose`, CAST(x_statement_kind, 'String') AS `statement_kind`, CAST(x_statement, 'String') AS `statement`, CAST(x_shape, 'String') AS `shape`, CAST(x_tables, 'Array(String)') AS `tables`, CAST(x_effect, 'String') AS `effect`, CAST(x_reason_codes, 'Array(String)') AS `reason_codes`, CAST(x_reason_texts, 'Array(String)') AS `reason_texts`, CAST(x_policy, 'String') AS `policy`, CAST(multiIf(x_completed > 0, if(x_ending = 'cut', 'cut', 'answered'), x_failed > 0, 'failed',
        x_settled != '', x_settled,
        x_surface = 'preflight' AND x_effect != '', 'foreseen', x_effect = 'deny', 'denied', x_effect = 'hold', 'held',
        x_effect = 'permit', 'unknown', 'refused'), 'String') AS `outcome`, CAST(x_effect = 'permit' AND x_completed = 0 AND x_failed = 0 AND x_settled IN ('', 'unknown') AND x_surface != 'preflight', 'Bool') AS `outcome_unknown`, CAST(x_settled, 'String') AS `settled`, CAST(x_settled_note, 'String') AS `settled_note`, CAST(x_row_count, 'Nullable(UInt64)') AS `row_count`, CAST(x_byte_count, 'Nullable(UInt64)') AS `byte_count`, CAST(x_status, 'Nullable(UInt64)') AS `status`, CAST(x_request_type, 'String') AS `request_type`, CAST(x_request_bytes, 'Nullable(UInt64)') AS `request_bytes`, CAST(x_request_digest, 'String') AS `request_digest`, CAST(x_request_body, 'String') AS `request_body`, CAST(x_masked, 'Array(String)') AS `masked`, CAST(x_ending, 'String') AS `ending`, CAST(x_cut, 'String') AS `cut`, CAST(x_failure_code, 'String') AS `failure_code`, CAST(x_failure_message, 'String') AS `failure_message`, CAST(x_hold_state, 'String') AS `hold_state`, CAST(x_ran, 'String') AS `ran`, CAST(x_job, 'String') AS `job`, CAST(x_first_byte_ms, 'Nullable(Float64)') AS `first_byte_ms`, CAST(x_total_ms, 'Nullable(Float64)') AS `total_ms`, CAST(x_request_recorded, 'String') AS `request_recorded`, CAST(x_request_kept, 'Nullable(UInt64)') AS `request_kept`, CAST(x_answer_type, 'String') AS `answer_type`, CAST(x_answer_recorded, 'String') AS `answer_recorded`, CAST(x_answer_bytes, 'Nullable(UInt64)') AS `answer_bytes`, CAST(x_answer_kept, 'Nullable(UInt64)') AS `answer_kept`, CAST(x_answer_digest, 'String') AS `answer_digest` FROM (SELECT e.exchange_id AS exchange_id, max(e.ts) AS x_ended_at,
    argMinIf(e.surface, (e.ts, e.writer_seq), e.kind IN ('decided', 'refused', 'completed', 'failed')) AS x_surface, anyIf(e.issuer, e.kind IN ('decided', 'refused', 'completed', 'failed')) AS x_issuer,
    anyIf(e.subject, e.kind IN ('decided', 'refused', 'completed', 'failed')) AS x_subject, anyIf(e.principal_kind, e.kind IN ('decided', 'refused', 'completed', 'failed')) AS x_principal_kind,
    argMinIf(e.groups, (e.ts, e.writer_seq), e.kind IN ('decided', 'refused', 'completed', 'failed')) AS x_groups, anyIf(e.acts_for_subject, e.kind IN ('decided', 'refused', 'completed', 'failed')) AS x_acts_for,
    anyIf(e.connection, e.kind IN ('decided', 'refused', 'completed', 'failed')) AS x_connection, anyIf(e.purpose, e.kind IN ('decided', 'refused', 'completed', 'failed')) AS x_purpose,
    anyIf(e.statement_kind, e.kind IN ('decided', 'refused', 'completed', 'failed')) AS x_statement_kind, argMinIf(e.statement, (e.ts, e.writer_seq), e.kind IN ('decided', 'refused', 'completed', 'failed')) AS x_statement,
    argMaxIf(e.shape, (e.ts, e.writer_seq), e.kind IN ('decided', 'refused', 'completed', 'failed')) AS x_shape, argMinIf(e.tables, (e.ts, e.writer_seq), e.kind IN ('decided', 'refused', 'completed', 'failed')) AS x_tables,
    argMaxIf(e.effect, (e.ts, e.writer_seq), e.kind = 'decided') AS x_effect, argMaxIf(e.reason_codes, (e.ts, e.writer_seq), e.kind = 'decided') AS x_reason_codes,
    argMaxIf(e.reason_texts, (e.ts, e.writer_seq), e.kind = 'decided') AS x_reason_texts, argMaxIf(e.policy, (e.ts, e.writer_seq), e.kind IN ('decided', 'refused', 'completed', 'failed')) AS x_policy,
    countIf(e.kind = 'completed') AS x_completed, countIf(e.kind = 'failed') AS x_failed,
    anyIf(e.row_count, e.kind = 'completed') AS x_row_count, anyIf(e.byte_count, e.kind = 'completed') AS x_byte_count,
    anyIf(e.status, e.kind = 'completed') AS x_status, argMaxIf(e.request_type, (e.ts, e.writer_seq), e.kind IN ('decided', 'refused', 'completed', 'failed')) AS x_request_type,
    argMaxIf(e.request_bytes, (e.ts, e.writer_seq), e.kind IN ('decided', 'refused', 'completed', 'failed')) AS x_request_bytes, argMaxIf(e.request_digest, (e.ts, e.writer_seq), e.kind IN ('decided', 'refused', 'completed', 'failed')) AS x_request_digest,
    anyIf(e.request_body, e.kind IN ('decided', 'refused', 'completed', 'failed')) AS x_request_body,
    arrayMap((t, c, s) -> concat(t, '.', c, ' ', s), anyIf(e.masked_tables, e.kind = 'completed'),
      anyIf(e.masked_columns, e.kind = 'completed'), anyIf(e.masked_strategies, e.kind = 'completed')) AS x_masked,
    anyIf(e.ending, e.kind = 'completed') AS x_ending, anyIf(e.cut, e.kind = 'completed') AS x_cut,
    argMaxIf(e.failure_code, (e.ts, e.writer_seq), e.kind IN ('refused', 'failed')) AS x_failure_code, argMaxIf(e.failure_message, (e.ts, e.writer_seq), e.kind IN ('refused', 'failed')) AS x_failure_message,
    argMaxIf(e.hold_state, (e.ts, e.writer_seq), e.kind = 'hold') AS x_hold_state,
    argMaxIf(e.outcome, (e.ts, e.writer_seq), e.kind = 'settled') AS x_settled, argMaxIf(e.note, (e.ts, e.writer_seq), e.kind = 'settled') AS x_settled_note,
    argMaxIf(e.ran, (e.ts, e.writer_seq), e.kind IN ('completed', 'failed', 'settled')) AS x_ran, argMaxIf(e.job, (e.ts, e.writer_seq), e.kind IN ('completed', 'failed', 'settled')) AS x_job,
    argMaxIf(e.first_byte_ms, (e.ts, e.writer_seq), e.kind IN ('completed', 'failed', 'settled')) AS x_first_byte_ms, argMaxIf(e.total_ms, (e.ts, e.writer_seq), e.kind IN ('completed', 'failed', 'settled')) AS x_total_ms,
    argMaxIf(e.request_recorded, (e.ts, e.writer_seq), e.kind IN ('completed', 'failed', 'settled')) AS x_request_recorded, argMaxIf(e.request_kept, (e.ts, e.writer_seq), e.kind IN ('completed', 'failed', 'settled')) AS x_request_kept,
    argMaxIf(e.answer_type, (e.ts, e.writer_seq), e.kind IN ('completed', 'failed', 'settled')) AS x_answer_type, argMaxIf(e.answer_recorded, (e.ts, e.writer_seq), e.kind IN ('completed', 'failed', 'settled')) AS x_answer_recorded,
    argMaxIf(e.answer_bytes, (e.ts, e.writer_seq), e.kind IN ('completed', 'failed', 'settled')) AS x_answer_bytes, argMaxIf(e.answer_kept, (e.ts, e.writer_seq), e.kind IN ('completed', 'failed', 'settled')) AS x_answer_kept,
    argMaxIf(e.answer_digest, (e.ts, e.writer_seq), e.kind IN ('completed', 'failed', 'settled')) AS x_answer_digest
    FROM `sluice`.events AS e WHERE e.kind IN ('decided', 'refused', 'completed', 'failed', 'settled', 'hold')
      AND NOT (e.kind = 'completed' AND e.surface = 'audit')
    GROUP BY e.exchange_id HAVING countIf(e.kind IN ('decided', 'refused', 'completed', 'failed')) > 0)
COMMENT 'one row per exchange: who asked what, what was decided and why, and how it ended';

CREATE OR REPLACE VIEW `sluice`.`decisions` ON CLUSTER `audit` (`decided_at` DateTime64(6, 'UTC') COMMENT 'UTC', `exchange_id` UUID COMMENT 'the exchange', `surface` LowCardinality(String) COMMENT 'the door: query or preflight', `issuer` LowCardinality(String) COMMENT 'who vouched for the principal', `principal` LowCardinality(String) COMMENT 'who asked', `principal_kind` LowCardinality(String) COMMENT 'agent, service or person', `groups` Array(LowCardinality(String)) COMMENT 'the groups of the principal', `acts_for` String COMMENT 'the person for whom the agent acted', `connection` LowCardinality(String) COMMENT 'the upstream', `statement_kind` LowCardinality(String) COMMENT 'SELECT, INSERT, ...', `statement` String COMMENT 'the text as it was analysed, or as it was sent where it was refused', `shape` LowCardinality(String) COMMENT 'equal for statements that differ in literals only; empty where it was not analysed', `tables` Array(LowCardinality(String)) COMMENT 'what it touches', `effect` LowCardinality(String) COMMENT 'permit, hold or deny', `reason_codes` Array(LowCardinality(String)) COMMENT 'why, as codes', `reason_texts` Array(String) COMMENT 'why, in words', `obligations` String COMMENT 'what the permit demanded, as JSON', `findings` String COMMENT 'what was known when it was decided, as JSON', `estimated_bytes` Nullable(UInt64) COMMENT 'bytes that the dry run said it would read', `policy` LowCardinality(String) COMMENT 'digest of the policies in force') AS
SELECT ts AS `decided_at`, `exchange_id` AS `exchange_id`, `surface` AS `surface`, `issuer` AS `issuer`, subject AS `principal`, `principal_kind` AS `principal_kind`, `groups` AS `groups`, acts_for_subject AS `acts_for`, `connection` AS `connection`, `statement_kind` AS `statement_kind`, `statement` AS `statement`, `shape` AS `shape`, `tables` AS `tables`, `effect` AS `effect`, `reason_codes` AS `reason_codes`, `reason_texts` AS `reason_texts`, `obligations` AS `obligations`, `findings` AS `findings`, `estimated_bytes` AS `estimated_bytes`, `policy` AS `policy` FROM `sluice`.events AS e WHERE e.kind = 'decided'
COMMENT 'each decision, as it was made before anything ran';

CREATE OR REPLACE VIEW `sluice`.`holds` ON CLUSTER `audit` (`hold_id` String COMMENT 'of the hold', `exchange_id` UUID COMMENT 'the exchange that is held', `state` String COMMENT 'pending, approved, rejected, expired, withdrawn, running, done, failed or unknown', `asked_at` DateTime64(6, 'UTC') COMMENT 'when it was first recorded, UTC', `expires_at` Nullable(DateTime64(3, 'UTC')) COMMENT 'until when it may be approved', `principal` String COMMENT 'who asked', `acts_for` String COMMENT 'the person for whom the agent acted', `connection` String COMMENT 'the upstream', `statement` String COMMENT 'what is held', `reason_codes` Array(String) COMMENT 'why it is held, as codes', `reason_texts` Array(String) COMMENT 'why it is held, in words', `approver_groups` String COMMENT 'who may approve, as JSON', `decided_by` String COMMENT 'who approved, rejected or withdrew it last', `comment` String COMMENT 'their words') AS
SELECT CAST(x_hold_id, 'String') AS `hold_id`, `exchange_id` AS `exchange_id`, CAST(x_state, 'String') AS `state`, CAST(x_asked_at, 'DateTime64(6, \'UTC\')') AS `asked_at`, CAST(x_expires_at, 'Nullable(DateTime64(3, \'UTC\'))') AS `expires_at`, CAST(x_subject, 'String') AS `principal`, CAST(x_acts_for, 'String') AS `acts_for`, CAST(x_connection, 'String') AS `connection`, CAST(x_statement, 'String') AS `statement`, CAST(x_reason_codes, 'Array(String)') AS `reason_codes`, CAST(x_reason_texts, 'Array(String)') AS `reason_texts`, CAST(x_approver_groups, 'String') AS `approver_groups`, CAST(x_decided_by, 'String') AS `decided_by`, CAST(x_comment, 'String') AS `comment` FROM (SELECT e.exchange_id AS exchange_id, argMaxIf(e.hold_id, (e.ts, e.writer_seq), e.kind = 'hold') AS x_hold_id,
    argMaxIf(e.hold_state, (e.ts, e.writer_seq), e.kind = 'hold') AS x_state, min(e.ts) AS x_asked_at,
    argMinIf(e.hold_expires_at, (e.ts, e.writer_seq), e.kind = 'decided' AND e.effect = 'hold') AS x_expires_at,
    argMinIf(e.subject, (e.ts, e.writer_seq), e.kind = 'decided') AS x_subject, argMinIf(e.acts_for_subject, (e.ts, e.writer_seq), e.kind = 'decided') AS x_acts_for,
    argMinIf(e.connection, (e.ts, e.writer_seq), e.kind = 'decided') AS x_connection, argMinIf(e.statement, (e.ts, e.writer_seq), e.kind = 'decided') AS x_statement,
    argMinIf(e.reason_codes, (e.ts, e.writer_seq), e.kind = 'decided' AND e.effect = 'hold') AS x_reason_codes,
    argMinIf(e.reason_texts, (e.ts, e.writer_seq), e.kind = 'decided' AND e.effect = 'hold') AS x_reason_texts,
    argMinIf(e.approver_groups, (e.ts, e.writer_seq), e.kind = 'decided' AND e.effect = 'hold') AS x_approver_groups,
    argMaxIf(e.subject, (e.ts, e.writer_seq), e.hold_state IN ('approved', 'rejected', 'withdrawn')) AS x_decided_by,
    argMaxIf(e.hold_comment, (e.ts, e.writer_seq), e.hold_state IN ('approved', 'rejected', 'withdrawn')) AS x_comment
    FROM `sluice`.events AS e WHERE e.kind IN ('decided', 'hold')
    GROUP BY e.exchange_id HAVING countIf(e.kind = 'hold') > 0)
COMMENT 'one row per hold: who asked for what, who may approve, and what became of it';

CREATE OR REPLACE VIEW `sluice`.`approvals` ON CLUSTER `audit` (`at` DateTime64(6, 'UTC') COMMENT 'UTC', `hold_id` String COMMENT 'of the hold', `exchange_id` UUID COMMENT 'the exchange that is held', `state` LowCardinality(String) COMMENT 'approved, rejected or withdrawn', `issuer` LowCardinality(String) COMMENT 'who vouched for the person', `principal` LowCardinality(String) COMMENT 'who decided', `groups` Array(LowCardinality(String)) COMMENT 'their groups', `comment` String COMMENT 'their words') AS
SELECT ts AS `at`, `hold_id` AS `hold_id`, `exchange_id` AS `exchange_id`, hold_state AS `state`, `issuer` AS `issuer`, subject AS `principal`, `groups` AS `groups`, hold_comment AS `comment` FROM `sluice`.events AS e WHERE e.kind = 'hold' AND e.hold_state IN ('approved', 'rejected', 'withdrawn')
COMMENT 'each word of a person on a hold: approved, rejected, or withdrawn by its requester';

CREATE OR REPLACE VIEW `sluice`.`masked_columns` ON CLUSTER `audit` (`at` DateTime64(6, 'UTC') COMMENT 'UTC', `exchange_id` UUID COMMENT 'the exchange', `principal` LowCardinality(String) COMMENT 'who asked', `connection` LowCardinality(String) COMMENT 'the upstream', `table` LowCardinality(String) COMMENT 'the table', `column` LowCardinality(String) COMMENT 'the column or field', `strategy` LowCardinality(String) COMMENT 'how it was masked', `values` UInt64 COMMENT 'how many values; 0 where they are not counted, as in SQL') AS
SELECT ts AS `at`, `exchange_id` AS `exchange_id`, subject AS `principal`, `connection` AS `connection`, m_table AS `table`, m_column AS `column`, m_strategy AS `strategy`, CAST(m_count, 'UInt64') AS `values` FROM `sluice`.events AS e ARRAY JOIN e.masked_tables AS m_table, e.masked_columns AS m_column,
    e.masked_strategies AS m_strategy,
    arrayResize(e.masked_counts, length(e.masked_tables)) AS m_count WHERE e.kind = 'completed'
COMMENT 'one row per masked column of each answer';

CREATE OR REPLACE VIEW `sluice`.`findings` ON CLUSTER `audit` (`at` DateTime64(6, 'UTC') COMMENT 'UTC', `exchange_id` UUID COMMENT 'the exchange', `principal` LowCardinality(String) COMMENT 'who asked', `connection` LowCardinality(String) COMMENT 'the upstream', `kind` String COMMENT 'plugin and kind', `place` String COMMENT 'a resource, column or position', `times` UInt64 COMMENT 'how often', `facts` String COMMENT 'what conditions of policies see, as JSON', `effect` LowCardinality(String) COMMENT 'what was decided') AS
SELECT ts AS `at`, `exchange_id` AS `exchange_id`, subject AS `principal`, `connection` AS `connection`, CAST(JSONExtractString(f_finding, 'kind'), 'String') AS `kind`, CAST(JSONExtractString(f_finding, 'where'), 'String') AS `place`, CAST(JSONExtractUInt(f_finding, 'count'), 'UInt64') AS `times`, CAST(JSONExtractRaw(f_finding, 'facts'), 'String') AS `facts`, `effect` AS `effect` FROM `sluice`.events AS e ARRAY JOIN JSONExtractArrayRaw(e.findings) AS f_finding WHERE e.kind = 'decided'
COMMENT 'one row per finding that a decision weighed';

CREATE OR REPLACE VIEW `sluice`.`resources` ON CLUSTER `audit` (`at` DateTime64(6, 'UTC') COMMENT 'UTC', `exchange_id` UUID COMMENT 'the exchange', `principal` LowCardinality(String) COMMENT 'who asked', `acts_for` String COMMENT 'the person for whom the agent acted', `connection` LowCardinality(String) COMMENT 'the upstream', `action` LowCardinality(String) COMMENT 'read, write, define, delete, ...', `resource` LowCardinality(String) COMMENT 'the table or view', `via` LowCardinality(String) COMMENT 'the view through which it is touched; empty where it is named in the text', `effect` LowCardinality(String) COMMENT 'what was decided') AS
SELECT ts AS `at`, `exchange_id` AS `exchange_id`, subject AS `principal`, acts_for_subject AS `acts_for`, `connection` AS `connection`, r_action AS `action`, r_table AS `resource`, r_via AS `via`, `effect` AS `effect` FROM `sluice`.events AS e ARRAY JOIN e.actions AS r_action, e.tables AS r_table, e.vias AS r_via WHERE e.kind = 'decided'
COMMENT 'one row per action on each table or view that a decision was about';

CREATE OR REPLACE VIEW `sluice`.`denials` ON CLUSTER `audit` (`at` DateTime64(6, 'UTC') COMMENT 'UTC', `exchange_id` UUID COMMENT 'the exchange', `turned_away` String COMMENT 'denied or refused', `surface` LowCardinality(String) COMMENT 'the door', `issuer` LowCardinality(String) COMMENT 'who vouched for the principal', `principal` LowCardinality(String) COMMENT 'who asked', `principal_kind` LowCardinality(String) COMMENT 'agent, service or person', `groups` Array(LowCardinality(String)) COMMENT 'the groups of the principal', `acts_for` String COMMENT 'the person for whom the agent acted', `connection` LowCardinality(String) COMMENT 'the upstream', `statement_kind` LowCardinality(String) COMMENT 'SELECT, INSERT, ...', `statement` String COMMENT 'the text as it was analysed, or as it was sent where it was refused', `shape` LowCardinality(String) COMMENT 'equal for statements that differ in literals only; empty where it was not analysed', `tables` Array(LowCardinality(String)) COMMENT 'what it would have touched', `codes` Array(String) COMMENT 'why, as codes', `texts` Array(String) COMMENT 'why, in words', `policy` LowCardinality(String) COMMENT 'digest of the policies that decided') AS
SELECT ts AS `at`, `exchange_id` AS `exchange_id`, CAST(if(kind = 'decided', 'denied', 'refused'), 'String') AS `turned_away`, `surface` AS `surface`, `issuer` AS `issuer`, subject AS `principal`, `principal_kind` AS `principal_kind`, `groups` AS `groups`, acts_for_subject AS `acts_for`, `connection` AS `connection`, `statement_kind` AS `statement_kind`, `statement` AS `statement`, `shape` AS `shape`, `tables` AS `tables`, CAST(if(kind = 'decided', reason_codes, [failure_code]), 'Array(String)') AS `codes`, CAST(if(kind = 'decided', reason_texts, [failure_message]), 'Array(String)') AS `texts`, `policy` AS `policy` FROM `sluice`.events AS e WHERE e.kind = 'refused' OR (e.kind = 'decided' AND e.effect = 'deny')
COMMENT 'everything that was turned away: denied by policy, or refused before';

CREATE OR REPLACE VIEW `sluice`.`bodies` ON CLUSTER `audit` (`exchange_id` UUID COMMENT 'the exchange', `direction` String COMMENT 'request, answer or sealed: originals of masked values, encrypted for the auditors', `asked_at` DateTime64(3, 'UTC') COMMENT 'when the exchange was asked, UTC', `begun_at` DateTime64(6, 'UTC') COMMENT 'when its first piece went out or came in, UTC', `ended_at` DateTime64(6, 'UTC') COMMENT 'when its last did, UTC', `type` String COMMENT 'its content type', `pieces` UInt64 COMMENT 'how many rows of `payloads`', `bytes` UInt64 COMMENT 'how many bytes of it are kept', `ended` Bool COMMENT 'its last piece is there; false: it is on its way, or a crash cut it', `mark` String COMMENT 'why the body is not whole; empty where it is', `digests` UInt64 COMMENT 'how many secret values are digests in it', `issuer` String COMMENT 'who vouched for the principal', `principal` String COMMENT 'who asked', `connection` String COMMENT 'the upstream', `kept_until` Date COMMENT 'the day until which it is kept') AS
SELECT `exchange_id` AS `exchange_id`, CAST(b_direction, 'String') AS `direction`, UUIDv7ToDateTime(exchange_id, 'UTC') AS `asked_at`, CAST(b_begun_at, 'DateTime64(6, \'UTC\')') AS `begun_at`, CAST(b_ended_at, 'DateTime64(6, \'UTC\')') AS `ended_at`, CAST(b_type, 'String') AS `type`, CAST(b_pieces, 'UInt64') AS `pieces`, CAST(b_bytes, 'UInt64') AS `bytes`, CAST(b_ended, 'Bool') AS `ended`, CAST(b_mark, 'String') AS `mark`, CAST(b_digests, 'UInt64') AS `digests`, CAST(b_issuer, 'String') AS `issuer`, CAST(b_subject, 'String') AS `principal`, CAST(b_connection, 'String') AS `connection`, CAST(b_retain_until, 'Date') AS `kept_until` FROM (SELECT e.exchange_id AS exchange_id, e.direction AS b_direction, min(e.ts) AS b_begun_at, max(e.ts) AS b_ended_at,
    any(e.type) AS b_type, count() AS b_pieces, sum(length(e.content)) AS b_bytes, max(e.is_last) AS b_ended,
    anyIf(e.mark, e.is_last) AS b_mark, sum(length(e.digests)) AS b_digests, any(e.issuer) AS b_issuer,
    any(e.subject) AS b_subject, any(e.connection) AS b_connection, min(e.retain_until) AS b_retain_until
    FROM `sluice`.payloads AS e GROUP BY e.exchange_id, e.direction)
COMMENT 'one row per recorded body: what of it is kept in `payloads`, without its content';

CREATE OR REPLACE VIEW `sluice`.`policies` ON CLUSTER `audit` (`since` DateTime64(6, 'UTC') COMMENT 'UTC', `writer` LowCardinality(String) COMMENT 'the gateway', `policy` LowCardinality(String) COMMENT 'digest of the policies, as decisions name it', `path` String COMMENT 'the path of the document', `document` String COMMENT 'its text') AS
SELECT ts AS `since`, `writer` AS `writer`, `policy` AS `policy`, CAST(p_document.1, 'String') AS `path`, CAST(p_document.2, 'String') AS `document` FROM `sluice`.events AS e ARRAY JOIN JSONExtractKeysAndValues(e.documents, 'String') AS p_document
    WHERE e.kind IN ('started', 'policy') AND e.documents != ''
COMMENT 'the documents in force since a gateway started or loaded others: policies, access lists, one row each';

INSERT INTO `sluice`.migrations SELECT 1, 'events and views', now64(3, 'UTC') WHERE 1 NOT IN (SELECT version FROM `sluice`.migrations);

INSERT INTO `sluice`.migrations SELECT 2, 'shapes of statements', now64(3, 'UTC') WHERE 2 NOT IN (SELECT version FROM `sluice`.migrations);

INSERT INTO `sluice`.migrations SELECT 3, 'HTTP requests', now64(3, 'UTC') WHERE 3 NOT IN (SELECT version FROM `sluice`.migrations);

INSERT INTO `sluice`.migrations SELECT 4, 'bodies, segments and checkpoints', now64(3, 'UTC') WHERE 4 NOT IN (SELECT version FROM `sluice`.migrations);

INSERT INTO `sluice`.migrations SELECT 5, 'indexes and legal holds', now64(3, 'UTC') WHERE 5 NOT IN (SELECT version FROM `sluice`.migrations);
