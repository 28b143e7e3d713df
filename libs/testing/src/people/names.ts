/** Given and family names, commonest first; drawn with Zipf weights, so that a few are frequent and most are rare. */
export interface NamePool {
  female: string[];
  male: string[];
  family: string[];
  streets: string[];
  kinds: string[];
  cities: string[];
}

const words = (text: string): string[] => text.trim().split(/\s+/);

export const ENGLISH: NamePool = {
  female:
    words(`Mary Patricia Jennifer Linda Elizabeth Barbara Susan Jessica Sarah Karen Lisa Nancy Betty Sandra Margaret Ashley
    Kimberly Emily Donna Michelle Carol Amanda Melissa Deborah Stephanie Dorothy Rebecca Sharon Laura Cynthia Amy Kathleen Angela
    Shirley Brenda Emma Anna Pamela Nicole Samantha Katherine Christine Helen Debra Rachel Carolyn Janet Maria Olivia Heather Diane
    Julie Joyce Victoria Ruth Virginia Lauren Kelly Christina Joan Evelyn Judith Andrea Hannah Megan Cheryl Jacqueline Martha Madison
    Teresa Gloria Sara Janice Ann Kathryn Abigail Sophia Frances Jean Alice Judy Isabella Julia Grace Amber Denise Danielle Marilyn
    Beverly Charlotte Natalie Theresa Diana Brittany Doris Kayla Alexis Lori Marie Erin Tina Ellen Eva Lucy Ella Molly`),
  male: words(`James Robert John Michael David William Richard Joseph Thomas Christopher Charles Daniel Matthew Anthony Mark Donald
    Steven Andrew Paul Joshua Kenneth Kevin Brian George Timothy Ronald Jason Edward Jeffrey Ryan Jacob Gary Nicholas Eric Jonathan
    Stephen Larry Justin Scott Brandon Benjamin Samuel Gregory Alexander Patrick Frank Raymond Jack Dennis Jerry Tyler Aaron Jose Adam
    Nathan Henry Zachary Douglas Peter Kyle Noah Ethan Jeremy Christian Walter Keith Austin Roger Terry Sean Gerald Carl Dylan Harold
    Jordan Jesse Bryan Lawrence Arthur Gabriel Bruce Logan Billy Joe Alan Juan Elijah Willie Albert Wayne Randy Mason Vincent Liam Roy
    Bobby Caleb Bradley Russell Lucas Marc Philip Eugene Oliver Leo`),
  family:
    words(`Smith Johnson Williams Brown Jones Garcia Miller Davis Rodriguez Martinez Hernandez Lopez Gonzalez Wilson Anderson
    Thomas Taylor Moore Jackson Martin Lee Perez Thompson White Harris Sanchez Clark Ramirez Lewis Robinson Walker Young Allen King
    Wright Scott Torres Nguyen Hill Flores Green Adams Nelson Baker Hall Rivera Campbell Mitchell Carter Roberts Gomez Phillips Evans
    Turner Diaz Parker Cruz Edwards Collins Reyes Stewart Morris Morales Murphy Cook Rogers Gutierrez Ortiz Morgan Cooper Peterson
    Bailey Reed Kelly Howard Ramos Kim Cox Ward Richardson Watson Brooks Chavez Wood James Bennett Gray Mendoza Ruiz Hughes Price
    Alvarez Castillo Sanders Patel Myers Long Ross Foster Jimenez Powell Jenkins Perry Russell Sullivan Bell Coleman Butler Henderson
    Barnes Fisher Vasquez Simmons Graham Murray Ford Castro Marshall Owens Harrison Fernandez Woods Washington Kennedy Wells Vargas
    Henry Chen Freeman Webb Tucker Guzman Burns Crawford Olson Simpson Porter Hunter Gordon Mendez Silva Shaw Snyder Mason Dixon`),
  streets:
    words(`Main Church High Park Oak Maple Cedar Elm Washington Lake Hill Walnut Spring North Ridge Mill River Station Victoria
    Queen King London Albert Green Manor York Kingsway Windsor Alexandra George Grange School Grove West East South Chestnut Pine
    Sunset Railroad Jackson Lincoln Franklin Jefferson Highland Forest Meadow Broadway Center Prospect Pleasant Summit Orchard`),
  kinds: ['Street', 'Road', 'Avenue', 'Lane', 'Drive', 'Court', 'Place'],
  cities:
    words(`Springfield Franklin Greenville Bristol Clinton Fairview Salem Madison Georgetown Arlington Ashland Dover Oxford
    Jackson Burlington Manchester Milton Newport Auburn Centerville Dayton Lexington Milford Riverside Cleveland`),
};

export const GERMAN: NamePool = {
  female:
    words(`Ursula Maria Anna Monika Petra Elisabeth Sabine Renate Helga Karin Brigitte Ingrid Erika Andrea Gisela Claudia Susanne
    Gabriele Christa Christine Hildegard Anja Barbara Birgit Angelika Martina Stefanie Julia Katharina Sandra Nicole Heike Sarah Laura
    Lena Lea Hannah Mia Emma Sophie Johanna Marie Clara Charlotte Luisa Frieda Mathilda Käthe Jürgena Änne Bärbel Marlene Jana Nina
    Silke Kerstin Tanja Katrin Daniela Simone Melanie Franziska Theresa Eva Ilse Gerda Edith Ruth Irmgard Waltraud Elke Ute Jutta`),
  male: words(`Peter Michael Thomas Andreas Wolfgang Hans Klaus Jürgen Günter Stefan Christian Uwe Werner Horst Frank Dieter Manfred
    Gerhard Bernd Thorsten Mathias Helmut Walter Heinz Martin Jörg Rolf Jens Sven Alexander Jan Rainer Holger Karl Dirk Joachim Ralf
    Carsten Herbert Oliver Wilhelm Kurt Markus Heinrich Harald Paul Hermann Norbert Rudolf Ulrich Maximilian Lukas Leon Finn Jonas Elias
    Noah Felix Anton Emil Jakob Moritz David Johannes Tobias Sebastian Florian Götz Björn Sören Matthäus Fritz Otto Ernst`),
  family:
    words(`Müller Schmidt Schneider Fischer Weber Meyer Wagner Becker Schulz Hoffmann Schäfer Koch Bauer Richter Klein Wolf Schröder
    Neumann Schwarz Zimmermann Braun Krüger Hofmann Hartmann Lange Schmitt Werner Schmitz Krause Meier Lehmann Schmid Schulze Maier
    Köhler Herrmann König Walter Mayer Huber Kaiser Fuchs Peters Lang Scholz Möller Weiß Jung Hahn Schubert Vogel Friedrich Keller Günther
    Frank Berger Winkler Roth Beck Lorenz Baumann Franke Albrecht Schuster Simon Ludwig Böhm Winter Kraus Martin Schumacher Krämer Vogt
    Stein Jäger Otto Sommer Groß Seidel Heinrich Brandt Haas Schreiber Graf Dietrich Ziegler Kuhn Kühn Pohl Engel Horn Busch Bergmann
    Thomas Voigt Sauer Arnold Wolff Pfeiffer Yilmaz Kaya Demir Nowak Kowalski`),
  streets:
    words(`Haupt Schul Garten Bahnhof Dorf Berg Birken Linden Kirch Wald Ring Wiesen Goethe Schiller Mozart Beethoven Jahn
    Mühlen Friedhof Rosen Ahorn Eichen Buchen Tannen Feld Brunnen Markt Post Sonnen Blumen Industrie Amsel Finken Lerchen`),
  kinds: ['straße', 'weg', 'gasse', 'str.', 'platz', 'allee'],
  cities:
    words(`Neustadt Altstadt Mühlhausen Kirchheim Rosenheim Freiburg Offenburg Lüneburg Göttingen Münster Wörth Fürth Schönau
    Neunkirchen Burgdorf Waldkirch Bergheim Steinfurt Rheine Lippstadt`),
};

const ONSETS = words('b br ch d dr f g gr h j k kr l m n p pr r s sh st t tr v w z th kh');
const VOWELS = words('a e i o u a e i o ai ou ia');
const CODAS = ['', '', '', 'n', 'r', 'l', 's', 'm', 'k', 'ng', 'ch', 'sh', 'nd', 'rt'];

/** Pronounceable names of no language: a long tail of rare ones, as real registers have. */
export function inventName(random: () => number, syllables: number): string {
  const pick = (list: readonly string[]): string => list[Math.floor(random() * list.length)]!;
  let name = '';
  for (let i = 0; i < syllables; i++)
    name += pick(ONSETS) + pick(VOWELS) + (i === syllables - 1 || random() < 0.3 ? pick(CODAS) : '');
  return name[0]!.toUpperCase() + name.slice(1);
}

/** A pool of invented names only: what a matcher with dictionaries cannot know. */
export function inventPool(random: () => number): NamePool {
  const many = (n: number, least: number): string[] => [
    ...new Set(Array.from({ length: n }, () => inventName(random, least + Math.floor(random() * 2)))),
  ];
  return {
    female: many(150, 2).map((name) => `${name}a`),
    male: many(150, 2),
    family: many(400, 2),
    streets: many(120, 2),
    kinds: ['Street', 'Road', 'way', 'Square'],
    cities: many(30, 2),
  };
}
