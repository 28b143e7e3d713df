/** Short and long forms of given names, one group a line; extended or replaced by the site. */
export const DEFAULT_NICKNAMES: readonly string[] = [
  'alexander alex sasha sascha xander alec', 'alexandra alex sandra sasha', 'andrew andy drew', 'anthony tony anton antonio',
  'barbara barb babs', 'benjamin ben benny', 'catherine katherine kathryn cathy kathy kate katie katja', 'charles charlie chuck karl',
  'christina christine tina chris kirsten', 'christopher chris kit', 'daniel dan danny', 'david dave', 'deborah debbie deb',
  'donald don', 'dorothy dot dottie', 'edward ed eddie ted ned', 'elizabeth elisabeth liz beth betty lisa eliza lizzie elsa libby',
  'eugene gene', 'frances fran', 'francis frank', 'franz francis frank', 'frederick fred freddy friedrich fritz', 'gabriel gabe',
  'gerald gerry jerry', 'gregory greg', 'gerhard gerd', 'guenther guenter gunter', 'hans johannes johann johan', 'harold harry hal',
  'heinrich heinz henry harry heiner', 'helena helen lena', 'jacob jake jakob', 'james jim jimmy jamie', 'jennifer jenny jen',
  'jessica jess jessie', 'john jack johnny jon', 'jonathan jon', 'joseph joe josef sepp', 'joshua josh', 'juergen jurgen',
  'kenneth ken kenny', 'lawrence larry laurence', 'leonard leo len', 'ludwig louis lutz', 'magdalena lena magda',
  'manfred fred manni', 'margaret maggie meg peggy greta grete margarethe margarete', 'maria mary mia marie', 'matthew matt mathew matthias',
  'maximilian max', 'michael mike mick mickey michel', 'nancy nan', 'nicholas nick nicolas nikolaus klaus niklas', 'pamela pam',
  'patricia pat patty trish', 'patrick pat paddy', 'peter pete', 'philip phil phillip', 'rebecca becky becca', 'richard rick dick rich ricky',
  'robert bob rob bobby robbie', 'ronald ron ronnie', 'samantha sam', 'samuel sam', 'sebastian basti bastian', 'stefan stephan steffen',
  'stephanie steffi', 'stephen steven steve', 'susan sue susie suzanne susanne sanne', 'theodore ted theo', 'theresa terry tess teresa resi',
  'thomas tom tommy', 'timothy tim', 'valentina tina', 'victoria vicky vicki', 'walter walt wally', 'wilhelm willi willy', 'william bill will billy liam', 'wolfgang wolf',
  'aleksandr sasha aleksandr', 'dmitrii dima', 'ekaterina katia', 'francisco paco pancho', 'jose pepe', 'giuseppe beppe', 'giovanni gianni',
]; // prettier-ignore

/** For each name the groups that it is in. */
export function nicknameGroups(lines: readonly string[]): Map<string, readonly number[]> {
  const groups = new Map<string, number[]>();
  lines.forEach((line, index) => {
    for (const name of line.split(' ')) {
      const known = groups.get(name);
      if (!known) groups.set(name, [index]);
      else if (!known.includes(index)) known.push(index);
    }
  });
  return groups;
}
