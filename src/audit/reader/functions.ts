/**
 * The functions that an auditor may call: they compute from their arguments alone. What is not here is refused, so
 * nothing that reads a file, a table, a dictionary, the server or the network, that waits or that throws can be added by accident.
 */
const PLAIN = `
  plus minus multiply divide intdiv intdivorzero modulo positivemodulo negate abs gcd lcm greatest least
  equals notequals less greater lessorequals greaterorequals isnotdistinctfrom isdistinctfrom
  and or xor not if multiif case casewithexpression ifnull nullif coalesce isnull isnotnull assumenotnull tonullable iszeroornull
  in notin globalin globalnotin nullin notnullin exists like notlike ilike notilike match multisearchany multisearchanycaseinsensitive
  bitand bitor bitxor bitnot bitshiftleft bitshiftright bittest
  round floor ceil ceiling trunc truncate sqrt cbrt exp log log2 log10 ln pow power sign sin cos tan
  cast _cast accuratecast accuratecastornull tostring tofixedstring tobool
  toint8 toint16 toint32 toint64 toint128 toint256 touint8 touint16 touint32 touint64 touint128 touint256
  toint32orzero toint64orzero touint32orzero touint64orzero tofloat64orzero toint32ornull toint64ornull touint32ornull touint64ornull
  tofloat64ornull tofloat32 tofloat64 todecimal32 todecimal64 todecimal128 touuid touuidornull touuidorzero
  uuidv7todatetime uuidstringtonum uuidnumtostring
  todate todate32 todatetime todatetime64 todateornull todatetimeornull todatetime64ornull todateorzero
  parsedatetimebesteffort parsedatetimebesteffortornull parsedatetime64besteffort parsedatetime64besteffortornull parsedatetime
  toyear toquarter tomonth todayofyear todayofmonth todayofweek tohour tominute tosecond tomillisecond toweek toisoweek toisoyear
  toyyyymm toyyyymmdd toyyyymmddhhmmss tounixtimestamp tounixtimestamp64milli tounixtimestamp64micro tounixtimestamp64nano
  fromunixtimestamp fromunixtimestamp64milli fromunixtimestamp64micro fromunixtimestamp64nano
  tostartofyear tostartofquarter tostartofmonth tostartofweek tostartofday tostartofhour tostartofminute tostartofsecond
  tostartoffiveminutes tostartoftenminutes tostartoffifteenminutes tostartofinterval tomonday tolastdayofmonth tolastdayofweek
  datetrunc datediff date_diff age dateadd datesub adddays addhours addminutes addseconds addweeks addmonths addyears
  subtractdays subtracthours subtractminutes subtractseconds subtractweeks subtractmonths subtractyears
  tointervalnanosecond tointervalmicrosecond tointervalmillisecond tointervalsecond tointervalminute tointervalhour tointervalday
  tointervalweek tointervalmonth tointervalquarter tointervalyear now now64 today yesterday totimezone formatdatetime
  formatdatetimeinjodasyntax datename timeslot
  length lengthutf8 octet_length char_length empty notempty lower upper lowerutf8 upperutf8 reverse reverseutf8 concat concatwithseparator
  substring substringutf8 substr left right leftutf8 rightutf8 trim trimboth trimleft trimright leftpad rightpad repeat
  position positionutf8 positioncaseinsensitive positioncaseinsensitiveutf8 locate startswith endswith hassubsequence
  hastoken hastokencaseinsensitive hasalltokens hasanytokens tokens ngrams countsubstrings countsubstringscaseinsensitive
  replace replaceone replaceall replaceregexpone replaceregexpall extract extractall extractallgroups regexpextract
  splitbychar splitbystring splitbyregexp splitbywhitespace splitbynonalpha arraystringconcat format base64encode base64decode
  trybase64decode hex unhex char ascii tovalidutf8 isvalidutf8 normalizequery normalizedqueryhash
  formatreadablesize formatreadablequantity formatreadabletimedelta
  domain domainwithoutwww path protocol querystring decodeurlcomponent ipv4numtostring ipv6numtostring toipv4 toipv6
  md5 sha1 sha224 sha256 sha384 sha512 siphash64 siphash128 cityhash64 xxhash64 xxhash32 crc32 halfmd5 formatrow
  array range arraymap arrayfilter arrayexists arrayall arraycount arraysum arrayavg arraymin arraymax arrayfirst arrayfirstindex
  arraylast arraylastindex arraysort arrayreversesort arrayreverse arraydistinct arrayuniq arrayconcat arrayslice arrayelement
  arrayelementornull arrayenumerate arrayflatten arraycompact arrayzip arrayjoin arrayfold arraydifference arraycumsum arrayintersect
  arrayexcept arraypushback arraypushfront arraypopback arraypopfront arrayresize arrayreduce has hasall hasany indexof countequal
  emptyarraystring lambda
  tuple tupleelement untuple map mapkeys mapvalues mapcontains mapcontainskey mapfilter mapapply mapadd mapfromarrays
  jsonextract jsonextractstring jsonextractint jsonextractuint jsonextractfloat jsonextractbool jsonextractraw jsonextractarrayraw
  jsonextractkeys jsonextractkeysandvalues jsonhas jsonlength jsontype jsonkey json_value json_query json_exists isvalidjson
  simplejsonextractstring simplejsonextractint simplejsonhas tojsonstring jsonallpaths jsonallpathswithtypes dynamictype
  totypename materialize identity
  row_number rank dense_rank percent_rank cume_dist ntile lag lead laginframe leadinframe first_value last_value nth_value grouping
`

const AGGREGATES = `
  count sum sumwithoverflow sumkahan avg avgweighted min max any anylast anyheavy argmin argmax
  uniq uniqexact uniqcombined uniqcombined64 uniqhll12 grouparray groupuniqarray grouparraysorted grouparraysample grouparrayinsertat
  groupconcat groupbitand groupbitor groupbitxor quantile quantiles quantileexact quantilesexact quantiletdigest quantilestdigest
  quantiletiming quantilestiming median medianexact stddevpop stddevsamp stddev varpop varsamp corr covarpop covarsamp
  topk topkweighted summap minmap maxmap deltasum simplelinearregression entropy exponentialmovingaverage
  sequencecount sequencematch windowfunnel retention histogram boundingratio singlevalueornull first_value last_value
`

const COMBINATOR = /(if|array|distinct|ornull|ordefault|foreach|map|argmin|argmax)$/

const words = (list: string): ReadonlySet<string> => new Set(list.split(/\s+/).filter((word) => word !== ''))
const plain = words(PLAIN)
const aggregates = words(AGGREGATES)

/** Table functions that make their rows up from their arguments. */
const tables: ReadonlySet<string> = new Set(['numbers', 'generate_series', 'generateseries', 'values'])

/** A function of one value or of many rows. */
export function isAllowedFunction(name: string): boolean {
  let rest = name.toLowerCase()
  if (plain.has(rest)) return true
  // `uniqExactIf`, `sumOrNullIf`: an aggregate and what modifies it, a few of them at most.
  for (let i = 0; i < 4; i += 1) {
    if (aggregates.has(rest)) return true
    const shorter = rest.replace(COMBINATOR, '')
    if (shorter === rest) return false
    rest = shorter
  }
  return false
}

/** A function in the place of a table. */
export function isAllowedTableFunction(name: string): boolean {
  return tables.has(name.toLowerCase())
}
