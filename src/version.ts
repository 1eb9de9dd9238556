/** This agent's own version, as in package.json. */
export const VERSION = '0.2.0';

/** The version of ACA-Py whose admin API this is: controllers look at it before they choose their calls. */
export const ACAPY_VERSION = '1.7.0';
