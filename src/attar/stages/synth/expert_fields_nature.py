"""Expert fields of health, nature, number and technology, as the text that `fields.py` reads.

`# domain: its newcomers` opens a domain, `= ` names the roles that suit it, `@ ` its settings; then come its fields, each a
person with what such a person may be an expert on. A line that is indented goes on from the one before.
"""

NATURE = """
# medicine: junior doctors
= research practise teach review invent alone advise lead change
@ at a teaching hospital; in a district hospital a day's drive from the next specialist; in a public hospital short of beds;
  in a region where fighting has only just stopped; in a private practice in a small town; in a fast-growing port city; at a
  national centre to which the hardest cases are sent; in a clinic that lives on donations
cardiologist: rhythm disorders in endurance athletes; heart failure in the very old; inherited disease of the heart muscle;
  chest pain with clean coronary arteries
neurologist: epilepsy that resists drugs; stroke in people under forty; rare nerve diseases of childhood; headache after
  injury
oncologist: side effects of immune therapy; tumours of unknown origin; cancer during pregnancy; relapses after long remission
surgeon: emergency operations on the abdomen; wounds that will not heal; keyhole surgery in obese patients; bleeding that
  cannot be seen
paediatrician: failure to thrive; fever without a source in infants; children who depend on machines to breathe; drug doses
  for the smallest patients
psychiatrist: psychosis in adolescents; depression that returns after every treatment; delirium after operations; compulsory
  treatment
anaesthetist: difficult airways; pain relief without opioids; awareness during operations; anaesthesia at high altitude
specialist in infectious diseases: tuberculosis that resists drugs; fever in returning travellers; hospital germs;
  vaccination of people with weak immune systems
radiologist: imaging of the small joints; chance findings on body scans; radiation dose in children; early signs of lung
  disease
nephrologist: dialysis at home; kidney damage by common drugs; transplants from living donors; disorders of the blood salts
geriatrician: falls without a clear cause; patients on a dozen drugs; swallowing trouble; decisions at the end of life
pathologist: rare tumours of soft tissue; tissue samples that two experts read differently; deaths during routine treatment;
  tests done during operations

# health professions: students on placement
= practise teach review invent alone advise lead change trouble
@ at a large city hospital; in a village health centre; with a mobile team that visits people at home; in a camp for
  displaced people; in a practice that has just gone digital; in a rehabilitation centre; at a school of health sciences; in
  a service that has lost a third of its staff
midwife: home births with a long way to hospital; twin births; births after an earlier caesarean; bleeding after birth
specialist nurse: weaning patients from ventilators; sedation without confusion; pressure sores; talks with families at night
pharmacist: interactions of heart drugs; medicines made to order for children; shortages of antibiotics; errors in repeat
  prescriptions
physiotherapist: recovery after knee ligament tears; chronic pain of the lower back; walking after a stroke; breathing
  exercises for weak lungs
dentist: root canals that failed once before; dental care for anxious patients; worn teeth; implants in thin bone
dietitian: feeding after stomach surgery; food for children with inborn errors of metabolism; malnutrition in old age; the
  diets of elite swimmers
paramedic: cardiac arrest in remote places; many casualties at once; overdoses; births on the way to hospital
speech therapist: lost speech after a stroke; stuttering in adults; swallowing after throat cancer; late talkers
optometrist: short sight that worsens in schoolchildren; low vision aids; dry eyes from screen work; eye checks in diabetes
occupational therapist: return to work after brain injury; kitchens for one-handed people; hand function after burns; daily
  life with dementia

# biology: doctoral students
= research practise teach review invent advise write doubt lead
@ at a university with old instruments; at a field station; at a natural history museum; in a young biotechnology company;
  at a government institute; on an international project whose partners disagree; at a research station that is reached only
  by boat; on a grant that ends within a year
geneticist: gene regulation far from the gene; inheritance of complex traits; genomes with many copies; mutations in old age
ecologist: food webs in warming lakes; the return of large predators; forest edges; species that arrive from elsewhere
microbiologist: bacteria of the deep sea; biofilms on medical devices; gut bacteria of ruminants; the spread of resistance
  genes
botanist: drought tolerance in wild grasses; orchids and their fungi; the dating of old trees; seeds that sleep for decades
zoologist: the migration of songbirds; hibernation in small mammals; deep-diving seals; parental care in frogs
immunologist: immune memory without antibodies; allergies that appear in adulthood; tolerance of transplants; inflammation
  in fat
structural biologist: proteins that never fold; membrane channels; very large complexes seen by electron microscope; the way
  enzymes choose their partners
evolutionary biologist: the origin of new species on islands; the cost of sex; convergent eyes; arms races with parasites
entomologist: the decline of wild bees; mosquitoes that survive insecticide; ant colonies; beetles that kill forests
marine biologist: coral bleaching; fish that change sex; whale song; life around hot vents
bioinformatician: assembly of tangled genomes; single-cell data with much noise; protein families without known function;
  pipelines that others can repeat

# earth and environment: graduates in their first post
= research practise teach review advise write doubt lead trouble
@ at a geological survey; in a region with frequent droughts; on an island state; in a consultancy with tight deadlines; at
  a university in a mountain region; in a city built on a river delta; for an aid organisation; at a polar research base
hydrologist: groundwater beneath farmland; flash floods in dry valleys; snow melt forecasts; rivers shared by two countries
climatologist: monsoon failure; heat waves in cities; climate records from before thermometers; clouds in climate models
geologist: landslides on inhabited slopes; rare earth deposits; the mapping of hidden faults; caves as archives
seismologist: small quakes caused by pumping; early warning; slow slip on deep faults; shaking on soft ground
volcanologist: gas signals before eruptions; ash and aircraft; quiet volcanoes near cities; lava flow forecasts
oceanographer: mixing in the deep ocean; dead zones off river mouths; rogue waves; the carbon that sinks
soil scientist: salt in irrigated land; carbon in ploughed soil; pollution by old mines; erosion on steep fields
meteorologist: hail forecasts; fog at airports; storms that forecasts miss; rain measured by radar
air quality expert: wood smoke in valleys; ozone downwind of cities; dust from deserts; cheap sensors
waste engineer: landfill gas; plastics that cannot be sorted; hazardous household waste; composting in hot climates
glaciologist: the calving of glaciers into the sea; lakes dammed by ice; ice cores; mountain glaciers that feed towns

# physics and chemistry: new group members
= research practise teach review invent write doubt lead trouble
@ at a national laboratory; at a small university without its own workshop; in the research arm of a manufacturer; at a
  large shared facility where measuring time is scarce; in a start-up founded by former colleagues; at a standards
  institute; in a laboratory that is moving to a new building; in a collaboration of forty institutes
particle physicist: neutrino masses; rare decays; detectors that age under radiation; triggers that discard most of the data
astrophysicist: the merging of neutron stars; planets around dim stars; dust between the stars; the first galaxies
condensed matter physicist: superconductors that nobody can explain; magnetism in thin layers; the physics of glass;
  topological materials
optical physicist: ultrashort laser pulses; squeezed light; imaging through fog; frequency combs
plasma physicist: turbulence in fusion devices; walls that face hot plasma; plasma thrusters; lightning
quantum physicist: errors in quantum computers; atomic clocks; entanglement over long fibres; cold molecules
organic chemist: the total synthesis of natural products; catalysts without precious metals; reactions driven by light;
  molecules that exist in two mirror forms
electrochemist: corrosion under paint; batteries without lithium; hydrogen from sea water; sensors for blood sugar
analytical chemist: traces of drugs in waste water; fraud in olive oil; the limits of detection; the age of inks
polymer chemist: plastics that can be taken apart; gels for wounds; rubber that heals itself; ageing of coatings
materials scientist: cracks in turbine blades; concrete with less cement; brittle steels; porous solids that store gas
computational chemist: reaction rates in solution; force fields; crystal structures not yet made; heavy elements

# mathematics and statistics: beginning graduate students
= research teach review write doubt advise lead change
@ at a department of six people; at a large research university; in the analytics group of an insurer; at a statistics
  office; at a teachers' college; in a research institute without students; as a guest in another country; with colleagues
  spread over four time zones
number theorist: the gaps between primes; elliptic curves of high rank; equations in whole numbers; modular forms
topologist: knots and their invariants; spaces of four dimensions; the shape of data; group actions on surfaces
analyst: oscillating integrals; singular solutions of fluid equations; spectra of random operators; functions without
  derivatives
algebraist: finite simple groups; rings that do not commute; representations of symmetric groups; decision problems in groups
combinatorialist: colourings of sparse graphs; extremal set systems; random graphs near their threshold; tilings
logician: the strength of axioms; computable structures; proofs checked by machine; games of infinite length
probabilist: random walks in random surroundings; rare events; interacting particles; mixing times
numerical analyst: stiff differential equations; rounding errors in long sums; eigenvalues of huge matrices; adaptive meshes
biostatistician: trials with few patients; missing data; outcomes that compete; surveys of people who will not answer
survey statistician: small area estimates; weights for biased samples; censuses; questions that change their answers
operations researcher: rosters; routes for many vehicles; stock under uncertain demand; queues in public offices
game theorist: auctions with correlated values; the fair division of goods; voting rules; matching without prices

# engineering: trainee engineers
= practise teach review invent alone advise lead trouble write
@ at a firm of twelve people; at a supplier to large manufacturers; in the works department of a city; on a site that cannot
  stop working; in a country that imports nearly all its parts; at a technical university; in a test laboratory; on a
  project that is late and over budget
structural engineer: timber towers; old masonry under new loads; footbridges that sway; fire in steel frames
geotechnical engineer: tunnels in soft ground; dams on weak rock; foundations beside old houses; slopes after rain
mechanical engineer: vibration of rotating shafts; bearings that fail early; heat exchangers; seals at high pressure
chemical engineer: distillation of near-identical liquids; runaway reactions; scale-up from flask to plant; crystals of even
  size
electrical engineer: faults in underground cables; motor drives; earthing of large plants; harmonics on the grid
aerospace engineer: icing on wings; small satellites; fatigue of old airframes; drones that carry medicine
automotive engineer: cooling of battery packs; noise in electric cars; brakes that squeal; crash tests with older dummies
control engineer: processes with long delays; robots that touch people; controllers tuned by guesswork; safety shutdowns
biomedical engineer: pumps for failing hearts; cheap incubators; hip joints that wear; alarms that nobody heeds any more
water engineer: leaks in old pipe networks; drinking water from brackish wells; sewers in storms; plants that treat hospital
  waste
railway engineer: worn rails in tight curves; signals of three generations; trains on soft ground; timetables after a
  breakdown
acoustic engineer: concert halls; quiet rooms beside motorways; loudspeakers in reverberant stations; sonar in shallow water

# energy: apprentices and graduates
= practise research teach review invent advise lead trouble
@ at a grid operator; in a country that imports most of its energy; at a cooperative owned by its customers; in a ministry;
  at a company in dispute with its regulator; with a supplier short of orders; at an engineering school; for a development
  bank
power systems engineer: grids with little spinning mass; restarts after a blackout; protection of long lines; load forecasts
wind energy engineer: foundations at sea; blade erosion; wakes between turbines; the noise complaints of neighbours
solar engineer: dust on panels; panels above crops; ageing of modules in the tropics; storage sized for a village
nuclear engineer: decommissioning; fuel that sat in pools for decades; reactors cooled by gas; passive safety
geothermal engineer: scale in wells; heat for districts; quakes set off by drilling; wells that run dry
battery engineer: second lives of car batteries; fires in storage plants; charging in the cold; state of health estimates
building energy expert: heat pumps in old houses; mould after insulation; schools that overheat; meters that disagree
bioenergy engineer: biogas from farm waste; pellets that crumble; smells that annoy neighbours; fuel from algae

# computing: newly hired developers
= practise research teach review invent alone advise lead trouble write
@ at a start-up with four months of money left; at a bank with code older than its staff; in a public authority; at a
  company that serves a million users; at a university; in a team that never meets in person; at a charity with one server;
  in a firm that was just bought by a larger one
database engineer: migrations without downtime; queries that were fast last week; replication across continents; data deletion
compiler engineer: vectorised loops; error messages; memory safety; compilers for odd processors
security engineer: phishing of administrators; leaked keys; attacks through dependencies; the incident plans of small firms
machine learning engineer: models that drift; training with few labels; model evaluation; inference on small devices
network engineer: routing leaks; wireless in old buildings; packet loss that comes and goes; links by satellite
embedded developer: firmware that must not fail; power budgets of sensors; real-time schedules; updates over the air
front-end developer: pages for slow phones; screen reader support; state that gets out of step; large forms
distributed systems engineer: consensus under partitions; clocks that disagree; exactly-once delivery; backpressure
site reliability engineer: alerts that cry wolf; capacity before big events; outages with several causes; restores never tried
computer graphics programmer: hair and cloth on screen; global light in real time; rendering of huge maps; colour that
  matches in print
robotics engineer: maps of changing places; grasping of soft things; fleets in warehouses; legs on rough ground
cryptographer: signatures that outlive quantum computers; proofs without disclosure; random numbers; key exchange on tiny
  chips
data engineer: late events; schemas that change without notice; costs of cloud storage; lineage that auditors accept
software tester: flaky tests; tests for code without a specification; load tests; faults that appear once a month
"""
