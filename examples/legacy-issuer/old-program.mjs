import { DatabaseSync } from 'node:sqlite';

/**
 * The program of a harbour office, as it was written long before credentials: `node old-program.mjs FILE COMMAND ...`. It knows boats, and nothing of who reads its file.
 *   add N             N more boats
 *   rename ID NAME    a boat has another name
 *   strike ID         a boat is no more
 */
const [file, command, ...words] = process.argv.slice(2);
const db = new DatabaseSync(file);
db.exec(`PRAGMA journal_mode = WAL; PRAGMA busy_timeout = 5000;
  CREATE TABLE IF NOT EXISTS boat (id INTEGER PRIMARY KEY, name TEXT NOT NULL, owner TEXT NOT NULL, tons INTEGER NOT NULL)`);
const commands = {
  add(count) {
    const insert = db.prepare('INSERT INTO boat (name, owner, tons) VALUES (?, ?, ?)');
    for (let n = 1; n <= Number(count); n++) insert.run(`Boat ${n}`, `Owner ${n}`, 10 + n);
  },
  rename: (id, name) => db.prepare('UPDATE boat SET name = ? WHERE id = ?').run(name, id),
  strike: (id) => db.prepare('DELETE FROM boat WHERE id = ?').run(id),
};
commands[command](...words);
db.close();
