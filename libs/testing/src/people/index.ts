export { generateCity, DEFAULT_CITY, type City, type CityOptions, type CityRecord } from './city';
export { DEFAULT_ERRORS, scaleErrors, type ErrorRates } from './corrupt';
