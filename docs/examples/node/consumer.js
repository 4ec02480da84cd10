// A complete consumer of `imports.completed.v1`: each event is worked exactly once, whatever dies on the way.
//
//     node consumer.js --kafka localhost:9092 --database calls.sqlite [--group my-product] [--from WHEN]
//
// Needs Node.js 24.6 or newer (zstd and SQLite are built in), and `npm ci` once.

import { DatabaseSync } from 'node:sqlite'
import { parseArgs } from 'node:util'
import { Admin, Consumer, stringDeserializers } from '@platformatic/kafka'

const TOPIC = 'imports.completed.v1'
const CE_TYPE = 'io.callstream.import.completed.v1'

const TABLES = `
CREATE TABLE IF NOT EXISTS seen (event_id TEXT, replay_id TEXT, PRIMARY KEY (event_id, replay_id));
CREATE TABLE IF NOT EXISTS journal (event_id TEXT, replay_id TEXT, outcome TEXT, external_id TEXT);
CREATE TABLE IF NOT EXISTS calls (recording_id TEXT PRIMARY KEY, title TEXT, observed_at REAL, replay_id TEXT);
`

// Work one record, once: what we remember of it and what we do are one transaction.
function handle(database, message) {
  if (message.headers.get('ce_type') !== CE_TYPE) return // a topic may gain types of events
  const event = JSON.parse(message.value)
  database.exec('BEGIN IMMEDIATE')
  try {
    const once = database.prepare('INSERT INTO seen VALUES (?, ?) ON CONFLICT DO NOTHING')
    if (once.run(event.event_id, event.replay_id ?? '').changes > 0) work(database, event)
    database.exec('COMMIT')
  } catch (error) {
    database.exec('ROLLBACK')
    throw error
  }
}

// Your work goes here. This one keeps a journal, and the newest state of each call.
function work(database, event) {
  const replayId = event.replay_id ?? ''
  database
    .prepare('INSERT INTO journal VALUES (?, ?, ?, ?)')
    .run(event.event_id, replayId, event.outcome, event.external_id)
  database
    .prepare(
      `INSERT INTO calls VALUES (?, ?, ?, ?)
       ON CONFLICT (recording_id) DO UPDATE
       SET title = excluded.title, observed_at = excluded.observed_at, replay_id = excluded.replay_id
       WHERE (excluded.observed_at, excluded.replay_id) >= (calls.observed_at, calls.replay_id)`
    )
    .run(event.recording_id, event.title, Date.parse(event.observed_at) / 1000, replayId)
}

// Put the group at a moment, on each partition where it has not committed anything yet.
async function startAt(options, moment) {
  const admin = new Admin({ clientId: options.group, bootstrapBrokers: [options.kafka] })
  const reader = new Consumer({ groupId: options.group, clientId: options.group, bootstrapBrokers: [options.kafka] })
  const timestamp = BigInt(moment.getTime())
  const young = (await reader.listOffsets({ topics: [TOPIC], timestamp })).get(TOPIC)
  const ends = (await reader.listOffsets({ topics: [TOPIC] })).get(TOPIC)
  const [group] = await admin.listConsumerGroupOffsets({ groups: [options.group] })
  const committed = group?.topics.find((topic) => topic.name === TOPIC)?.partitions ?? []
  const known = new Set(committed.filter((each) => each.committedOffset >= 0n).map((each) => each.partitionIndex))
  const partitionOffsets = ends
    .map((end, partition) => ({ partition, offset: young[partition] >= 0n ? young[partition] : end }))
    .filter(({ partition }) => !known.has(partition))
  if (partitionOffsets.length > 0) {
    await admin.alterConsumerGroupOffsets({ groupId: options.group, topics: [{ name: TOPIC, partitionOffsets }] })
  }
  await reader.close()
  await admin.close()
}

const { values: options } = parseArgs({
  options: {
    kafka: { type: 'string' }, // HOST:PORT of a broker
    database: { type: 'string' }, // the SQLite file
    group: { type: 'string', default: 'my-product' }, // the consumer group; one for each product
    from: { type: 'string', default: 'beginning' } // or a time such as 2026-01-31T09:00:00Z
  }
})
const moment = options.from === 'beginning' ? null : new Date(options.from)
if (!options.kafka || !options.database || Number.isNaN(moment?.getTime())) {
  console.error('Say --kafka HOST:PORT and --database FILE; --from is `beginning` or a time: 2026-01-31T09:00:00Z.')
  process.exit(2)
}

const database = new DatabaseSync(options.database, { timeout: 30_000 })
database.exec(TABLES)
if (moment) await startAt(options, moment)

const consumer = new Consumer({
  groupId: options.group,
  clientId: options.group,
  bootstrapBrokers: [options.kafka],
  deserializers: stringDeserializers,
  autocommit: false,
  sessionTimeout: 10_000,
  heartbeatInterval: 3_000,
  highWaterMark: 100,
  retries: true // wait for a broker that is away
})
const stream = await consumer.consume({ topics: [TOPIC], mode: 'committed', fallbackMode: 'earliest' })
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => stream.close())

// Read, work, commit; in this order, for ever.
for await (const message of stream) {
  handle(database, message)
  message.commit().catch((error) => stream.destroy(error)) // not awaited: commits that wait are sent as one
}
await consumer.close()
database.close()
