import type { Locator } from 'playwright-core';
import type { Visited } from '../support/browser.ts';

/** What one person does by mouse in one console, counted: a click into each field too, before anything is typed. */
export function person({ page }: Pick<Visited, 'page'>) {
  let clicks = 0;
  const click = async (what: Locator): Promise<void> => {
    clicks++;
    await what.click();
    // there is always a way on
    await page.locator('main a[href], main button').first().waitFor();
  };
  return {
    clicks: () => clicks,
    field: async (name: string, text: string): Promise<void> => {
      const field = page.getByLabel(name, { exact: true });
      await click(field);
      await field.fill(text);
    },
    /** A text, by its copy button. */
    copy: async (name: string): Promise<string> => {
      await click(page.getByRole('button', { name: `Copy ${name}`, exact: true }));
      return await page.getByLabel(name, { exact: true }).inputValue();
    },
    /** A choice, for which a mouse clicks twice, unless it is made already. */
    choose: async (name: string, value: string): Promise<void> => {
      const field = page.getByLabel(name, { exact: true });
      if ((await field.inputValue()) === value) return;
      clicks += 2;
      await field.selectOption(value);
    },
    link: (name: string) => click(page.locator('main').getByRole('link', { name }).first()),
    row: (name: string) => click(page.locator('tbody').getByRole('link', { name }).first()),
    button: (name: string) => click(page.locator('main').getByRole('button', { name, exact: true }).first()),
    menu: (name: string) => click(page.locator('nav.main').getByRole('link', { name, exact: true })),
    check: (name: string) => click(page.getByLabel(name, { exact: true })),
  };
}
