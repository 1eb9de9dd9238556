/** Signs in at a console, as its page does. @returns the session's cookie, and the header of its calls */
export async function sessionCookie(admin: string, given: object): Promise<{ name: string; value: string; csrf: string }> {
  const answer = await fetch(`${admin}/console/login`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'x-csrf': '', origin: admin },
    body: JSON.stringify(given),
  });
  if (answer.status !== 200) throw new Error(`signing in answered ${answer.status} ${await answer.text()}`);
  const [, name, value] = /^([^=]+)=([^;]+)/.exec(answer.headers.get('set-cookie') ?? '') ?? [];
  return { name: name!, value: value!, csrf: ((await answer.json()) as { csrf: string }).csrf };
}
