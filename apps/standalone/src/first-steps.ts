/** What to type to send a first image and to find it: by DCMTK, or by our own tool where DCMTK is not installed. */
export function firstSteps(aeTitle: string, host: string, port: number): string {
  const target = host === '0.0.0.0' || host === '::' ? '127.0.0.1' : host;
  const own = aeTitle === 'ARCHIPELAGO' && port === 11112 && target === '127.0.0.1';
  const to = own ? '' : ` --to ${aeTitle}@${target}:${port}`;
  return [
    '',
    'Send a first image, then look for it:',
    `  npm run archipelago -- send <file or folder>${to}`,
    `  npm run archipelago -- find${to}`,
    'or with DCMTK:',
    `  storescu -aec ${aeTitle} ${target} ${port} <file>`,
    `  findscu -S -aec ${aeTitle} -k QueryRetrieveLevel=STUDY -k PatientName -k PatientID -k StudyInstanceUID ${target} ${port}`,
    'Ctrl-C stops everything.',
    '',
  ].join('\n');
}
