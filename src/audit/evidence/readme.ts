/** What a pack says of itself to whoever unpacks it by hand. */
export const README = `An evidence pack of Sluice

report.html                  read this first: what the evidence shows, by Trust Services Criterion, and what it does not
readable/                    every audit record of the span, JSON lines or Parquet, by day
approvals.ndjson             every move of a hold: who approved or rejected what, when and why
masked-columns.ndjson        every masked column by day: how it was masked, in how many answers
policies/<digest>/           the policy documents that were in force; decisions name the digest
access.json                  issuers, API keys, auditors and connections that were configured, and since when
records/ segments/           the same records as the bytes that were written, with the hash of each
checkpoints/ proofs/         signed heads of the logs, and what leads from the records to them
manifest.json                the last member: every file with its size and SHA-256

To check it with nothing but the public key, which you should have from elsewhere:

    npm run -s sluice -- audit verify PACK.tar --key VKEY

A pack for an auditor of some connections alone has no records/, segments/, checkpoints/, proofs/, policies/ and access
lists; its manifest says so.
`
