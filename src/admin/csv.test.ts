import assert from 'node:assert/strict';
import { test } from 'node:test';
import { csvOf, tableOf } from './csv.ts';

const BOUNDS = { rows: 3, columns: 4, cell: 100 };

test('tables are read with each separator, with a byte order mark, quotes and empty lines', () => {
  const expected = {
    columns: ['name', 'note'],
    rows: [
      ['Ada', 'a, "b"; c'],
      ['Bob', ''],
    ],
  };
  assert.deepEqual(tableOf('name,note\r\nAda,"a, ""b""; c"\r\n\r\nBob,\r\n', BOUNDS), expected);
  assert.deepEqual(tableOf('\ufeffname;note\nAda;"a, ""b""; c"\nBob;', BOUNDS), expected);
  assert.deepEqual(tableOf('name\tnote\nAda\t"a, ""b""; c"\nBob\t', BOUNDS), expected);
});

test('tables that do not fit are refused in words', () => {
  for (const [text, why] of [
    ['', /needs a line/],
    ['name', /needs a line/],
    ['a,b\n1', /csv: .*line 2/i],
    ['a,b\n"1,2', /csv: /],
    ['a\n1\n2\n3\n4', /3 rows at most/],
    ['a,b,c,d,e\n1,2,3,4,5', /more than 4 columns/],
    [`a\n${'x'.repeat(1000)}`, /csv: /],
  ] as const)
    assert.throws(
      () => tableOf(text, BOUNDS),
      (error: Error) => why.test(error.message),
      text.slice(0, 20),
    );
});

test('cells that a spreadsheet would compute are texts, and cells with separators are quoted', () => {
  assert.equal(
    csvOf([
      ['=1+1', '+1', '-1', '@x', '\tx', 'a=b'],
      ['a,b', 'say "x"', 'two\nlines', ';', '', '=HYPERLINK("x","y")'],
    ]),
    `'=1+1,'+1,'-1,'@x,'\tx,a=b\r\n"a,b","say ""x""","two\nlines",";",,"'=HYPERLINK(""x"",""y"")"\r\n`,
  );
});
