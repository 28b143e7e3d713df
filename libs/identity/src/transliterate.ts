/**
 * Latin spelling of names in other scripts, so that a name from one archive can be compared with its Latin form from
 * another. Rough on purpose: it feeds similarity, not display. Han characters have no spelling without a dictionary and stay.
 */

const CYRILLIC: Record<string, string> = {
  а: 'a', б: 'b', в: 'v', г: 'g', д: 'd', е: 'e', ж: 'zh', з: 'z', и: 'i', й: 'i', к: 'k', л: 'l', м: 'm', н: 'n',
  о: 'o', п: 'p', р: 'r', с: 's', т: 't', у: 'u', ф: 'f', х: 'kh', ц: 'ts', ч: 'ch', ш: 'sh', щ: 'shch', ъ: '',
  ы: 'y', ь: '', э: 'e', ю: 'iu', я: 'ia', ё: 'e', є: 'ie', і: 'i', ї: 'i', ґ: 'g', ў: 'u', ј: 'j', љ: 'lj', њ: 'nj',
  ћ: 'c', ђ: 'dj', џ: 'dz', ѓ: 'g', ќ: 'k', ѕ: 'dz',
}; // prettier-ignore

const GREEK: Record<string, string> = {
  α: 'a', β: 'v', γ: 'g', δ: 'd', ε: 'e', ζ: 'z', η: 'i', θ: 'th', ι: 'i', κ: 'k', λ: 'l', μ: 'm', ν: 'n', ξ: 'x',
  ο: 'o', π: 'p', ρ: 'r', σ: 's', ς: 's', τ: 't', υ: 'y', φ: 'f', χ: 'ch', ψ: 'ps', ω: 'o',
}; // prettier-ignore

/** Consonants only, as they are written; vowels of Arabic and Hebrew are rarely there to compare. */
const SEMITIC: Record<string, string> = {
  ا: 'a', أ: 'a', إ: 'i', آ: 'a', ب: 'b', ت: 't', ث: 'th', ج: 'j', ح: 'h', خ: 'kh', د: 'd', ذ: 'dh', ر: 'r', ز: 'z',
  س: 's', ش: 'sh', ص: 's', ض: 'd', ط: 't', ظ: 'z', ع: 'a', غ: 'gh', ف: 'f', ق: 'q', ك: 'k', ل: 'l', م: 'm', ن: 'n',
  ه: 'h', ة: 'a', و: 'w', ي: 'y', ى: 'a', ء: '', ئ: 'y', ؤ: 'w', پ: 'p', چ: 'ch', ژ: 'zh', گ: 'g', ک: 'k', ی: 'y',
  א: 'a', ב: 'b', ג: 'g', ד: 'd', ה: 'h', ו: 'v', ז: 'z', ח: 'h', ט: 't', י: 'y', כ: 'k', ך: 'k', ל: 'l', מ: 'm',
  ם: 'm', נ: 'n', ן: 'n', ס: 's', ע: 'a', פ: 'p', ף: 'f', צ: 'ts', ץ: 'ts', ק: 'k', ר: 'r', ש: 'sh', ת: 't',
}; // prettier-ignore

const LETTERS = new Map(Object.entries({ ...CYRILLIC, ...GREEK, ...SEMITIC }));

/** Rows of the kana table, in the order a i u e o; the exceptions follow. */
const KANA = new Map<string, string>();
for (const [consonant, letters] of [
  ['', 'アイウエオ'],
  ['k', 'カキクケコ'],
  ['g', 'ガギグゲゴ'],
  ['s', 'サシスセソ'],
  ['z', 'ザジズゼゾ'],
  ['t', 'タチツテト'],
  ['d', 'ダヂヅデド'],
  ['n', 'ナニヌネノ'],
  ['h', 'ハヒフヘホ'],
  ['b', 'バビブベボ'],
  ['p', 'パピプペポ'],
  ['m', 'マミムメモ'],
  ['r', 'ラリルレロ'],
] as const) {
  [...letters].forEach((letter, i) => KANA.set(letter, consonant + 'aiueo'[i]));
}
for (const [letter, latin] of Object.entries({
  シ: 'shi', チ: 'chi', ツ: 'tsu', フ: 'fu', ジ: 'ji', ヂ: 'ji', ヅ: 'zu', ヤ: 'ya', ユ: 'yu', ヨ: 'yo', ワ: 'wa',
  ヲ: 'o', ン: 'n', ヴ: 'vu', ァ: 'a', ィ: 'i', ゥ: 'u', ェ: 'e', ォ: 'o', ー: '',
})) KANA.set(letter, latin); // prettier-ignore

const SMALL_Y: Record<string, string> = { ャ: 'ya', ュ: 'yu', ョ: 'yo' };

function kana(text: string): string {
  // Hiragana stand 0x60 below katakana.
  const letters = [...text.replace(/[\u3041-\u3096]/g, (c) => String.fromCharCode(c.charCodeAt(0) + 0x60))];
  let out = '';
  let doubled = false;
  for (const letter of letters) {
    if (letter === 'ッ') {
      doubled = true;
      continue;
    }
    const small = SMALL_Y[letter];
    if (small !== undefined) {
      out = /(?:sh|ch|j)i$/.test(out) ? out.slice(0, -1) + small.slice(1) : out.replace(/i$/, '') + small;
      continue;
    }
    const latin = KANA.get(letter) ?? letter;
    out += doubled && latin !== '' ? latin[0] + latin : latin;
    doubled = false;
  }
  return out;
}

const HANGUL_INITIAL = 'g kk n d tt r m b pp s ss  j jj ch k t p h'.split(' ');
const HANGUL_VOWEL = 'a ae ya yae eo e yeo ye o wa wae oe yo u wo we wi yu eu ui i'.split(' ');
const HANGUL_FINAL = ' k k ks n nj nh t l lk lm lb ls lt lp lh m p ps t t ng t t k t p h'.split(' ');

/** Revised Romanisation, without the sound changes between syllables (Unicode chapter 3.12 for the arithmetic). */
function hangul(text: string): string {
  return text.replace(/[\uac00-\ud7a3]/g, (syllable) => {
    const index = syllable.charCodeAt(0) - 0xac00;
    const initial = HANGUL_INITIAL[Math.floor(index / 588)];
    return `${initial}${HANGUL_VOWEL[Math.floor((index % 588) / 28)]}${HANGUL_FINAL[index % 28]}`;
  });
}

const ASCII = /^[\x20-\x7e]*$/;

/** Folded text in (`foldText` of dicom-core); Latin letters where there is a usual spelling. */
export function transliterate(folded: string): string {
  if (ASCII.test(folded)) return folded;
  let text = folded;
  if (/[\u3041-\u30ff]/.test(text)) text = kana(text);
  if (/[\uac00-\ud7a3]/.test(text)) text = hangul(text);
  let out = '';
  for (const letter of text) out += LETTERS.get(letter) ?? letter;
  // Vowel points of Arabic and Hebrew.
  return out.replace(/[\u0591-\u05c7\u064b-\u065f\u0670]/g, '');
}
