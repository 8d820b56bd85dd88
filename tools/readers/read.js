// Reads the parts of a run with DuckDB and prints its columns, the number of rows
// and the accuracy as JSON.
//
//   node read.js RUN
const { DuckDBInstance } = require('@duckdb/node-api')

async function main() {
  const db = await (await DuckDBInstance.create()).connect()
  const table = `read_parquet('${process.argv[2].replaceAll("'", "''")}/parts/*.parquet')`
  const rows = async (sql) => (await db.runAndReadAll(sql)).getRowObjectsJson()
  const columns = {}
  for (const c of await rows(`DESCRIBE SELECT * FROM ${table}`)) columns[c.column_name] = c.column_type
  const [sum] = await rows(`SELECT count(*) AS n, avg(CASE WHEN correct THEN 1.0 ELSE 0 END) FILTER (status = 'ok') AS top1,
    avg(loss) FILTER (status = 'ok') AS nll, min(len(top5)) FILTER (status = 'ok') AS shortest FROM ${table}`)
  const groups = await rows(`SELECT class, count(*) AS n FROM ${table} GROUP BY class ORDER BY class`)
  console.log(JSON.stringify({ columns, n: Number(sum.n), top1: Number(sum.top1), nll: Number(sum.nll), shortest: Number(sum.shortest), classes: groups.length }))
}

main()
