/** A JSON value, as parsed. */
export type Json = string | number | boolean | null | Json[] | { [member: string]: Json };

/** A JSON object, as parsed. */
export type JsonObject = { [member: string]: Json };
