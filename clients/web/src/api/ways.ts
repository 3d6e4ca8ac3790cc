/** How one can sign in here. */

import type { SignInWays } from "@healthsync/client";
import { type Asked, useAsked } from "./asked";

export const useWays = (asking = true): Asked<SignInWays> => useAsked<SignInWays>(asking ? "/v1/session/ways" : null);
