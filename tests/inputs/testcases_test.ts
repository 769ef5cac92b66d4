import { testCases } from "./testcase.ts";

testCases();
