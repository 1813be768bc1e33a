"""Expert fields of law, money, the state, society, history, language, the arts, crafts, farming and transport; as text.

Written as in `fields_nature.py`.
"""

SOCIETY = """
# law: trainee lawyers
= practise research teach review alone advise write lead doubt trouble
@ in a court with a long backlog; in a two-lawyer office; in a large commercial firm; at a legal aid centre; in the legal
  office of a ministry; in a country with a brand new constitution; at a law faculty; in a town where everybody knows
  everybody
contract lawyer: force majeure clauses; long supply agreements; deals made by e-mail; contracts in two languages
criminal lawyer: confessions under pressure; forensic evidence; juvenile offenders; fraud by companies
family lawyer: custody across borders; hidden assets; adoption; the maintenance of elderly parents
labour lawyer: platform work; dismissal during illness; strikes in hospitals; posted workers
intellectual property lawyer: patents on software; trade marks that went generic; music samples; inventions of employees
tax lawyer: transfer prices; the taxation of cross-border commuters; family firms that change hands; charities
environmental lawyer: liability for old pollution; water rights; permits for wind farms; trade in protected species
human rights lawyer: asylum; prison conditions; freedom of assembly; evidence of torture
privacy lawyer: employee monitoring; health records; data of children; breaches that were noticed late
competition lawyer: cartels found through algorithms; mergers of hospitals; state aid; dominant platforms
maritime lawyer: salvage; abandoned crews; collisions in fog; cargo that spoiled on the way
notary: wills that contradict each other; land without papers; powers of attorney; the estates of emigrants

# finance and business: first-year analysts
= practise teach review invent alone advise lead change trouble
@ at a family firm in its third generation; at a regional bank; at a company close to insolvency; in a cooperative; at an
  accountancy firm; for an investor who wants results this year; in a country with high inflation; at a business school
auditor: revenue booked too early; stock that exists only on paper; related parties; small charities
actuary: long lives; crop insurance; cyber risk; pensions of closed firms
credit analyst: lending to start-ups; mines; sovereign debt; firms in groups
portfolio manager: illiquid bonds; currency hedges; green bonds; portfolios for foundations
accountant: lease accounting; intangible assets; grants; books after a merger
tax adviser: sales tax on digital goods; losses carried forward; artists on tour; relocation of headquarters
procurement manager: sole suppliers; tenders; raw materials with wild prices; proof of fair labour
supply chain planner: spare parts; short-lived goods; returned goods; demand after a product change
market researcher: surveys in many languages; prices people will pay; brands in decline; panels that drift
human resources manager: fair pay; shift work; interviews that predict little; teams after redundancies
turnaround adviser: overdue payables; loss-making branches; talks with creditors; staff morale
actuarial data analyst: fraud patterns in claims; telematics; models a regulator will accept; thin data on new risks
microfinance officer: group loans; seasonal incomes; repayment after floods; savings clubs

# public policy: new civil servants
= practise research teach review invent advise lead change
@ in a city hall; in a ministry just after an election; at a think tank; for an international organisation; in a district
  with a shrinking population; in a capital that grows faster than its services; in a parliament's research service; for a
  regional government with little money
health policy analyst: waiting lists; drug prices; doctors for rural areas; sugar taxes
urban planner: housing above shops; streets without cars; informal settlements; flood plains that people live on
transport planner: night buses; school journeys; congestion charges; freight in old towns
public finance expert: municipal debt; subsidies that outlived their purpose; lottery income; budgets by outcome
election official: postal votes; voter rolls; recounts; polling places without power
diplomat: ceasefire talks; fishing rights; visa rules; sanctions
emergency planner: evacuations of hospitals; warnings people obey; shelters in heat waves; dam failure
migration policy analyst: recognition of foreign diplomas; family reunification; seasonal work; return programmes
education policy analyst: teacher shortages; school meals; early tracking; exams marked by machine
security analyst: border disputes; smuggling routes; disinformation before votes; small arms
energy policy analyst: capacity markets; fuel poverty; the phase-out of coal; grid fees
social policy analyst: benefits that punish work; homelessness; unpaid care; pensions for the self-employed

# social sciences: students in their final year
= research practise teach review advise write doubt lead
@ at a university with strict ethics review; in a market town that has lost its industry; at a statistics office; among
  people who speak three languages; for a charity that must show results; in an archive that opened last year; at a research
  centre on a short contract; in a quarter that is being rebuilt
sociologist: loneliness in cities; the professions; how rumours spread; marriage across classes
anthropologist: gift exchange; funerals; nomads who settle; how laboratories work
labour economist: minimum wages; automation; informal work; women's return after childbirth
development economist: cash transfers; small irrigation; land titles; remittances
behavioural economist: saving; tax letters; choices under stress; organ donor registers
political scientist: coalition bargaining; voter turnout; local autocrats; courts under pressure
demographer: falling birth rates; unregistered deaths; ageing villages; sex ratios
criminologist: burglary patterns; reoffending; prison gangs; trust in the police
human geographer: food deserts; shrinking towns; border regions; commuting
media researcher: local news; political adverts; the memory of scandals; children and screens
econometrician: weak instruments; panels with gaps; forecasts that get combined; policy effects without a control group

# psychology and education: trainee teachers and psychologists
= practise research teach review invent alone advise write trouble
@ at a primary school with large classes; in a counselling centre; at a boarding school; in a prison; in an adult education
  centre; at a university clinic; in a valley with one school bus; for a school authority
clinical psychologist: compulsions; grief that does not ease; trauma after accidents; phobias in children
school psychologist: bullying; refusal to attend; gifted pupils who fail; exam fear
cognitive psychologist: eyewitness memory; divided attention; mental arithmetic; errors of trained experts
developmental psychologist: the first words; lying in early childhood; sleep in adolescence; friendship
neuropsychologist: neglect after stroke; memory tests across cultures; concussion; early dementia
special education teacher: autism in mainstream classes; dyslexia in two languages; deaf-blind pupils; behaviour plans
mathematics teacher: fractions; proof at school level; word problems; pupils who believe that they cannot do it
science teacher: experiments without a laboratory; evolution; units and orders of magnitude; misconceptions about force
language teacher: pronunciation; adults who never went to school; grammar without jargon; mixed-level classes
instructional designer: safety training; courses for shift workers; tests that measure understanding; simulation
work psychologist: burn-out; night shifts; selection of air crew; conflict in open-plan offices
examiner: fair marking; test translation; the marking of essays; cheating

# history and archaeology: student assistants
= research practise teach review write doubt lead advise
@ at a regional museum; in a national archive; at a university; on a dig that has one season left; in a town that disputes
  its own past; for a documentary film; at a church archive without a catalogue; in a ministry of culture
historian of medicine: plague towns; early vaccination; asylums; field surgery
economic historian: guilds; early banks; famines; the price of grain
military historian: sieges; the supply of armies; desertion; soldiers' letters from the front
historian of science: the history of measurement; lost instruments; priority disputes; women in observatories
social historian: servants; early strikes; childhood; migration within empires
medievalist: forged charters; monastic accounts; pilgrim roads; town law
ancient historian: coin hoards; inscriptions; slave revolts; provincial cities
prehistorian: stone tools; first farmers; cave art; burial customs
maritime archaeologist: sunken cargo; harbours under silt; ship timbers; wrecks that looters find first
oral historian: mining communities; life in exile; memories that contradict documents; dockers
art historian: workshop copies; provenance; altarpieces; portraits of unknown sitters
archivist: mould; born-digital records; private papers; secret files that become public
museum curator: restitution; labels visitors read; loans; collections without records

# language and literature: beginners in the profession
= practise research teach review write doubt advise change
@ in an office of four colleagues; at a university; for an international organisation; in a border region; at a broadcaster;
  from home for clients abroad; in a language institute; for a small community that wants to keep its language
phonetician: whispered speech; tone languages; voices as evidence; accents of late learners
field linguist: languages with few speakers; verb systems; kinship terms; place names
historical linguist: sound change; loan words; lost writing systems; family trees of languages
lexicographer: slang; dictionary examples; terms of trades; words that change sides
legal translator: statutes; witness statements; false friends; contracts between legal traditions
literary translator: dialect in novels; puns; metre and rhyme; children's books
conference interpreter: speeches read at speed; relay interpreting; figures heard once; technical negotiations
sign language interpreter: hospital visits; theatre; regional signs; court hearings
literary scholar: unreliable narrators; censored novels; the sonnet; travel writing
editor: memoirs; popular science; manuscripts with too many voices; book indexes
science journalist: preprints; risk figures; interviews with reluctant experts; retractions
technical writer: safety manuals; interface texts; instructions for non-readers; release notes
speechwriter: apologies; anniversaries; unpopular decisions; bilingual audiences
computational linguist: spelling variation; parsing of legal prose; speech in noise; languages with little data

# arts and design: first-year students
= practise teach review invent alone advise lead change doubt
@ at an academy of arts; in a workshop shared by five people; in a town without a stage or a gallery; for a client who keeps
  changing the brief; at a festival with a tiny budget; in a listed building; alone on commission; for a public institution
  that counts every coin
composer: film scenes without dialogue; choral music for amateurs; quarter tones; music for games
conductor: youth orchestras; unfinished works; opera choruses; first performances
violin maker: tone wood; varnish; repairs of cracked tops; copies of old instruments
stage designer: quick changes; tiny stages; projection; sets that tour
lighting designer: dance; museums; candle-like light; outdoor shows
film editor: documentaries with a hundred hours of footage; comic timing; fight scenes; sound bridges
photographer: architecture; low light; archives on glass; portraits of shy people
architect: schools; earth buildings; conversions of barns; hospitals that calm
landscape architect: dry gardens; playgrounds; cemeteries; parks that hold back floods
typographer: newspapers; scripts that run right to left; road signs; long tables
fashion designer: workwear; clothes for wheelchair users; natural dyes; pattern cutting without waste
product designer: packaging; tools for left-handers; toys; devices that can be repaired
game designer: rules for two; difficulty curves; games that teach; stories that branch
painting conservator: flaking paint; earlier bad repairs; smoke damage; murals in damp churches
choreographer: dancers over sixty; site-specific work; dance notation; dancers' injuries

# trades and crafts: apprentices
= practise teach review invent alone advise lead change trouble
@ in a family workshop; in a capital with high rents; in an old town with strict rules; at a training centre; in a village
  where supplies take weeks to arrive; in a firm of thirty people; on a small island; as a business of one
joiner: sash windows; winding stairs; old veneers; doors that stick every winter
mason: lime mortar; dry stone walls; vaults; chimneys
electrician: old wiring; solar connections; emergency lighting; faults that trip at night
plumber: low pressure; legionella; drains under old floors; rainwater systems
welder: aluminium; thin sheet; pressure pipes; distortion
machinist: tight tolerances; hard alloys; worn machines; single spare parts
roofer: slate; flat roofs; snow loads; leaks with no obvious source
car mechanic: intermittent electrical faults; old diesel engines; gearboxes; hybrids
watchmaker: marine clocks; escapements; magnetised movements; missing parts
baker: sourdough; flour that varies; gluten-free bread; large batches
tailor: winter coats; alterations; uneven shoulders; old patterns
glazier: leaded windows; safety glass; curved panes; condensation
refrigeration technician: natural refrigerants; cold stores; slow leaks; vaccine fridges
locksmith: antique safes; master key systems; escape doors; electronic locks
boat builder: clinker hulls; repairs of glass fibre; wooden masts; rot below the waterline

# farming and food: young farmers
= practise research teach review invent alone advise lead trouble
@ in hill country; in an irrigation district; in a region that is turning to organic methods; in an advisory service; at an
  agricultural college; in a cooperative of small producers; at a food company; in a region hit by late frosts
agronomist: wheat rust; cover crops; weeds that resist sprays; rice with less water
veterinarian: lame dairy cows; bird flu; antibiotics in pigs; working donkeys
fruit grower: spring frost; the thinning of fruit; old varieties; storage without rot
winemaker: heat in the vineyard; stuck fermentations; smoke taint; wild yeasts
beekeeper: mites; queen breeding; winter losses; honey that is adulterated
forester: bark beetles; mixed stands; steep slopes; trees for a warmer climate
fish farmer: sea lice; oxygen at night; feed without fish meal; ponds in dry years
animal breeder: calving ease; rare breeds; feed efficiency; inbreeding
horticulturist: peat-free growing; greenhouse climate; cut flowers; grafting
irrigation engineer: drip lines that clog; shared canals; the build-up of salt; pumps driven by the sun
food technologist: shelf life; salt reduction; plant proteins; foreign bodies
cheese maker: raw milk; late blowing; washed rinds; uses for whey
plant breeder: millet; potato blight; seed purity; traits farmers ask for
food safety inspector: street food; cold chains; allergens; small slaughterhouses

# transport and logistics: new recruits
= practise teach review invent alone advise lead trouble
@ at a state-owned operator; on island routes; on contract to an aid organisation; at a company with ageing equipment; at a
  training academy; in a region of harsh winters; near a disputed border; at a private operator that cuts costs wherever it
  can
ship's captain: sailing in ice; narrow channels; mixed crews; ageing freighters
harbour pilot: cross-winds in the entrance; very large ships; night arrivals; work with tugs
airline pilot: short runways; crew fatigue; diverted flights; smoke in the cabin
air traffic controller: mixed traffic; thunderstorms; radio failure; drones near runways
train dispatcher: single-track lines; missed connections; works at night; dangerous goods
warehouse manager: peak season; automation; stocktaking; heavy items
customs specialist: tariff classes; origin rules; counterfeits; temporary imports
relief logistician: airdrops; local purchase; fuel supply; the last miles after an earthquake
dangerous goods adviser: lithium cells; tank cleaning; explosives for mines; wrong labels
aircraft mechanic: hidden corrosion; borrowed parts; engine inspections; records that do not match
cycling planner: safe junctions; hilly towns; cargo bikes; parking at stations
cold chain manager: vaccines; cut flowers; power cuts; data loggers
"""
