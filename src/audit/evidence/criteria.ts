/**
 * The Trust Services Criteria (AICPA, 2017 with the points of focus of 2022) that the records say something about: what
 * they show, and what they do not. Titles are ours, in short: the criteria themselves are the AICPA's.
 */
import { Failure } from '../../failure.ts'
import type { Measures } from './measure.ts'

/** A piece of the report; each criterion is told by some of them. */
export type Exhibit =
  | 'identity'
  | 'refusals'
  | 'principals'
  | 'connections'
  | 'rules'
  | 'writes'
  | 'holds'
  | 'approvers'
  | 'masked'
  | 'answers'
  | 'findings'
  | 'changes'
  | 'ends'
  | 'auditors'
  | 'retention'
  | 'bodies'
  | 'heads'
  | 'policies'

export type SampleKind = Extract<
  keyof Measures,
  'denied' | 'permitted' | 'turnedAway' | 'notUnderstood' | 'maskedSamples' | 'approved' | 'broken'
>

export interface Criterion {
  readonly code: string
  readonly title: string
  /** What the evidence shows. */
  readonly shows: string
  /** What an auditor has to find elsewhere. */
  readonly not: string
  readonly exhibits: readonly Exhibit[]
  readonly samples?: SampleKind
}

export const CRITERIA: readonly Criterion[] = [
  {
    code: 'CC6.1',
    title: 'Logical access to protected information is controlled',
    shows:
      'Every request to a connection comes with a credential of its own, is decided by policy before anything runs, and is recorded with who asked, for whom, what and why. Credentials of the upstreams are held by the gateway alone. Columns that policy protects are masked before an answer leaves.',
    not: 'Access that does not go through the gateway: accounts of the upstreams themselves, networks, hosts, and encryption at rest. Show that the upstreams take the credentials of the gateway alone.',
    exhibits: ['identity', 'connections', 'rules'],
    samples: 'permitted',
  },
  {
    code: 'CC6.2',
    title: 'Users are registered and authorised before they get credentials, and lose them after',
    shows:
      'Who used access in this span, as their issuer names them, with their groups; the issuers and API keys that were configured, with expiry and revocation, and since when (`access.json`); every credential that was turned away.',
    not: 'Joining and leaving, identity proofing, and multi-factor login at the identity provider. Compare the list of principals with its records.',
    exhibits: ['principals', 'refusals'],
    samples: 'turnedAway',
  },
  {
    code: 'CC6.3',
    title: 'Access follows roles, least privilege and separation of duties',
    shows:
      'Each decision names the rules that made it and the digest of the policies in force, whose text is in this pack. What exceeds a role is denied or held for another person; nobody can approve what they asked for, or what an agent asked for on their behalf.',
    not: 'Whether the roles and the members of groups are the right ones: that review is a task of management.',
    exhibits: ['rules', 'writes', 'approvers'],
    samples: 'denied',
  },
  {
    code: 'CC6.6',
    title: 'Threats from outside the boundary are kept out',
    shows:
      'What was turned away at the door: without a credential, with one that is not accepted or is for another plane, beyond what a principal may have under way; and what was refused because it could be read in more than one way.',
    not: 'Firewalls, protection from denial of service and the hardening of hosts. What was turned away under overload is counted, not recorded one by one.',
    exhibits: ['identity', 'refusals'],
    samples: 'turnedAway',
  },
  {
    code: 'CC6.7',
    title: 'Information moves only to those who may have it',
    shows:
      'For each answer: how many rows and bytes left, to whom, from which tables, and which columns were masked and how. What was cut, and why.',
    not: 'What a principal does with an answer afterwards, and the encryption of the wire between the gateway and its clients.',
    exhibits: ['answers', 'connections', 'masked'],
    samples: 'maskedSamples',
  },
  {
    code: 'CC6.8',
    title: 'Unauthorised or malicious software is prevented or found',
    shows:
      'Statements and requests that were refused before they could run: what cannot be parsed, scripts, paths that can be read in two ways, functions that policy does not know. What ran is the text that was decided, recorded as `ran`.',
    not: 'Malware on hosts, and the supply chain of the gateway itself.',
    exhibits: ['refusals', 'writes'],
    samples: 'notUnderstood',
  },
  {
    code: 'CC7.1',
    title: 'Changes of configuration that open a hole are detected',
    shows:
      'Every start and stop of a gateway and every change of the policies and access lists in force, with time, digest and the text itself.',
    not: 'Scans for vulnerabilities, and changes outside the gateway.',
    exhibits: ['changes', 'policies'],
  },
  {
    code: 'CC7.2',
    title: 'The system is monitored for anomalies',
    shows:
      'What each statement was found to be before it was decided: risk, unusual hours, shapes and tables that a principal had not used before, volumes; and the decision that followed.',
    not: 'Whether somebody looked: show the alerts of the system that receives these records, and who answered them.',
    exhibits: ['findings', 'ends'],
    samples: 'denied',
  },
  {
    code: 'CC7.3',
    title: 'Security events are evaluated',
    shows:
      'Events of which a person had to judge: what was held, who judged it, how soon, with which words. Who queried and exported the audit log itself.',
    not: 'The evaluation of incidents outside the gateway, and its conclusions.',
    exhibits: ['holds', 'approvers', 'auditors'],
    samples: 'approved',
  },
  {
    code: 'CC7.4',
    title: 'Incidents are responded to',
    shows:
      'What is there to respond with: for each exchange the whole record, what was answered, to whom, and whether it can be trusted: records are hashed into a log whose heads are signed.',
    not: 'The response itself: plans, communication, and lessons.',
    exhibits: ['ends', 'heads'],
    samples: 'broken',
  },
  {
    code: 'CC8.1',
    title: 'Changes are authorised, tested and approved',
    shows:
      'Which policies were in force when, as digests and full texts; and for changes of data through the gateway, which were held, by whom they were approved, and that each ran once, as it was held.',
    not: 'Review and tests of changes to policies before they took force: show the history and the reviews of the repository that they come from.',
    exhibits: ['changes', 'policies', 'holds'],
    samples: 'approved',
  },
  {
    code: 'C1.1',
    title: 'Confidential information is identified and protected',
    shows:
      'The columns and fields that policy calls confidential, by how they were masked, in how many answers and for how many principals.',
    not: 'Whether everything that is confidential has been named: compare the masked columns with the inventory of data.',
    exhibits: ['masked', 'answers'],
    samples: 'maskedSamples',
  },
  {
    code: 'C1.2',
    title: 'Confidential information is disposed of',
    shows: 'How long the records of each connection are kept, and which part of the bodies was kept at all.',
    not: 'Disposal in the upstreams and in backups. Records that were deleted before their time would be missed by `audit verify`.',
    exhibits: ['retention', 'bodies'],
  },
  {
    code: 'P4.1',
    title: 'Personal information is used for its purpose alone',
    shows:
      'The purpose that requesters named, the agents that acted for people, and the personal fields that were masked for whoever had no need of them.',
    not: 'Consent and notice, and whether a stated purpose is true.',
    exhibits: ['principals', 'masked'],
    samples: 'permitted',
  },
  {
    code: 'P4.2',
    title: 'Personal information is kept no longer than needed',
    shows: 'How long records and bodies are kept, by connection.',
    not: 'Retention in the upstreams.',
    exhibits: ['retention', 'bodies'],
  },
  {
    code: 'P6.2',
    title: 'Disclosures are recorded completely, accurately and in time',
    shows:
      'Every answer is recorded before its last bytes leave; what was permitted and has no recorded end is counted here, and none of it is left out. The records can be checked against signed heads.',
    not: 'Disclosures by other ways than the gateway.',
    exhibits: ['ends', 'connections', 'heads'],
    samples: 'maskedSamples',
  },
]

/** The codes asked for, each once, in the order of the criteria; all where none is. Throws `bad-request` at one that it does not know. */
export function criteriaOf(asked: readonly string[]): readonly string[] {
  const known = CRITERIA.map(({ code }) => code)
  const unknown = asked.find((code) => !known.includes(code))
  if (unknown !== undefined) {
    throw new Failure('bad-request', 'a control is not one that records say something about', {
      fix: `ask for any of ${known.join(', ')}`,
    })
  }
  return asked.length === 0 ? known : known.filter((code) => asked.includes(code))
}
