//! The EVM: revm's, with the two rules of Ethereum that it does not know.
//!
//! - EIP-7610: a contract cannot be created where storage is left, even without code or nonce.
//! - Constantinople without Petersburg: EIP-1283's gas for SSTORE.

use crate::StateError;
use crate::handler::BlockHandler;
use alloy_evm::{Evm, EvmEnv, eth::EthEvmContext, precompiles::PrecompilesMap};
use alloy_primitives::{Address, Bytes};
use revm::{
    Context, Database, Journal, MainBuilder, MainContext,
    bytecode::opcode::SSTORE,
    context::{
        BlockEnv, CfgEnv, ContextError, ContextSetters, ContextTr, FrameStack, JournalTr, TxEnv,
        journaled_state::account::JournaledAccountTr,
        result::{EVMError, ExecResultAndState, ExecutionResult, HaltReason, ResultAndState},
    },
    context_interface::cfg::{
        GasId, GasParams,
        gas::{SSTORE_RESET, SSTORE_SET},
    },
    database::bal::EvmDatabaseError,
    handler::{
        EthFrame, EvmTr, FrameInitOrResult, FrameResult, Handler, ItemOrResult, MainnetHandler, SystemCallTx,
        evm::FrameInitResult, instructions::EthInstructions,
    },
    inspector::NoOpInspector,
    interpreter::{
        CreateInputs, CreateOutcome, FrameInput, Gas, Host, Instruction, InstructionContext, InstructionExecResult,
        InstructionResult, InterpreterResult, instructions::host::sstore_with_gas_accounting,
        interpreter::EthInterpreter, interpreter_action::FrameInit,
    },
    precompile::{PrecompileSpecId, Precompiles},
    primitives::{constants::CALL_STACK_LIMIT, hardfork::SpecId},
    state::{AccountInfo, EvmState},
};
use std::fmt::Debug;

type MachineContext<D> = EthEvmContext<D>;
/// The table of a machine's instructions.
pub(crate) type MachineInstructions<D> = EthInstructions<EthInterpreter, MachineContext<D>>;
type Inner<D> = revm::context::Evm<MachineContext<D>, NoOpInspector, MachineInstructions<D>, PrecompilesMap, EthFrame>;

/// An error of the database below the machine.
pub(crate) type MachineDatabaseError = EvmDatabaseError<StateError>;
/// Why the machine did not run a transaction.
pub(crate) type MachineError = EVMError<MachineDatabaseError>;

/// What a machine runs on.
pub(crate) trait MachineDatabase: Database<Error = MachineDatabaseError> + Debug {
    /// The account, without counting as an access to it.
    fn peek(&mut self, address: Address) -> Result<Option<AccountInfo>, MachineDatabaseError>;

    /// Whether any slot of the account was nonzero before the block.
    fn has_storage(&self, address: Address) -> Result<bool, MachineDatabaseError>;
}

/// Runs transactions and system calls over a database.
pub(crate) struct Machine<D: MachineDatabase> {
    inner: Inner<D>,
    is_fee_recipient_met: bool,
}

impl<D: MachineDatabase> Machine<D> {
    /// `is_constantinople`: whether the block is at Constantinople but not yet at Petersburg, which are one for revm.
    pub(crate) fn new(state: D, environment: EvmEnv, is_constantinople: bool) -> Self {
        let EvmEnv { mut cfg_env, block_env } = environment;
        if is_constantinople {
            cfg_env.set_gas_params(constantinople_gas(cfg_env.spec));
        }
        let precompiles = Precompiles::new(PrecompileSpecId::from_spec_id(cfg_env.spec));
        let mut inner = Context::mainnet()
            .with_block(block_env)
            .with_cfg(cfg_env)
            .with_db(state)
            .build_mainnet_with_inspector(NoOpInspector {})
            .with_precompiles(PrecompilesMap::from_static(precompiles));
        if is_constantinople {
            inner.instruction.insert_instruction(SSTORE, Instruction::new(constantinople_sstore::<D>), 0);
        }
        Self { inner, is_fee_recipient_met: false }
    }

    /// Whether the last transaction loaded the fee recipient before it was paid.
    pub(crate) fn is_fee_recipient_met(&self) -> bool {
        self.is_fee_recipient_met
    }

    /// To be called before the fee recipient is paid.
    pub(crate) fn note_fee_recipient(&mut self) {
        let Context { block, journaled_state, .. } = &self.inner.ctx;
        self.is_fee_recipient_met = journaled_state.evm_state().contains_key(&block.beneficiary);
    }

    pub(crate) fn database_mut(&mut self) -> &mut D {
        &mut self.inner.ctx.journaled_state.database
    }

    pub(crate) fn instructions_mut(&mut self) -> &mut MachineInstructions<D> {
        &mut self.inner.instruction
    }

    /// Runs a transaction by the given rules, and hands over what it left. The room of the accounts map is kept for the
    /// next transaction.
    pub(crate) fn run_by<T>(
        &mut self,
        rules: &mut impl Handler<Evm = Self, Error = MachineError, HaltReason = HaltReason>,
        transaction: TxEnv,
        take: impl FnOnce(Result<ExecutionResult, MachineError>, &EvmState, &mut D) -> T,
    ) -> T {
        self.inner.ctx.set_tx(transaction);
        let result = rules.run(self);
        let journal = self.inner.ctx.journal_mut();
        let mut state = journal.finalize();
        let taken = take(result, &state, &mut journal.database);
        state.clear();
        *journal.evm_state_mut() = state;
        taken
    }

    fn finish_run(
        &mut self,
        result: Result<ExecutionResult, MachineError>,
    ) -> Result<ResultAndState<HaltReason>, MachineError> {
        let state = self.inner.ctx.journal_mut().finalize();
        result.map(|result| ExecResultAndState::new(result, state))
    }

    /// How a creation ends that meets storage at its address (EIP-7610); `None` when revm's own rules decide.
    fn storage_collision(
        &mut self,
        inputs: &CreateInputs,
        depth: usize,
    ) -> Result<Option<FrameResult>, ContextError<MachineDatabaseError>> {
        let journal = self.inner.ctx.journal_mut();
        let caller = journal.load_account(inputs.caller())?.data.info.clone();
        if depth > CALL_STACK_LIMIT as usize || caller.balance < inputs.value() || caller.nonce == u64::MAX {
            return Ok(None);
        }
        let address = inputs.created_address(caller.nonce);
        if !has_only_storage(journal, address)? {
            return Ok(None);
        }
        journal.load_account_mut(inputs.caller())?.bump_nonce();
        journal.load_account(address)?;
        let result = InterpreterResult {
            result: InstructionResult::CreateCollision,
            gas: Gas::new_with_regular_gas_and_reservoir(inputs.gas_limit(), inputs.reservoir()),
            output: Bytes::new(),
        };
        let charged_create_state_gas = inputs.charged_create_state_gas();
        Ok(Some(FrameResult::Create(CreateOutcome { result, address: None, charged_create_state_gas })))
    }
}

/// Whether there is an account with storage but neither nonce nor code. Only the state before the block can hold one:
/// what a block creates has a nonce, or before Spurious Dragon an address that no later creation can have.
fn has_only_storage<D: MachineDatabase>(
    journal: &mut Journal<D>,
    address: Address,
) -> Result<bool, MachineDatabaseError> {
    let is_bare = |info: &AccountInfo| info.nonce == 0 && info.is_empty_code_hash();
    let exists_bare = match journal.evm_state().get(&address) {
        Some(account) => !account.is_loaded_as_not_existing() && is_bare(&account.info),
        None => journal.database.peek(address)?.as_ref().is_some_and(is_bare),
    };
    Ok(exists_bare && journal.database.has_storage(address)?)
}

impl<D: MachineDatabase> EvmTr for Machine<D> {
    type Context = MachineContext<D>;
    type Instructions = MachineInstructions<D>;
    type Precompiles = PrecompilesMap;
    type Frame = EthFrame;

    fn all(&self) -> (&Self::Context, &Self::Instructions, &Self::Precompiles, &FrameStack<EthFrame>) {
        self.inner.all()
    }

    fn all_mut(
        &mut self,
    ) -> (&mut Self::Context, &mut Self::Instructions, &mut Self::Precompiles, &mut FrameStack<EthFrame>) {
        self.inner.all_mut()
    }

    fn frame_init(
        &mut self,
        init: FrameInit,
    ) -> Result<FrameInitResult<'_, EthFrame>, ContextError<MachineDatabaseError>> {
        if let FrameInput::Create(inputs) = &init.frame_input
            && let Some(result) = self.storage_collision(inputs, init.depth)?
        {
            return Ok(ItemOrResult::Result(result));
        }
        self.inner.frame_init(init)
    }

    fn frame_run(&mut self) -> Result<FrameInitOrResult<EthFrame>, ContextError<MachineDatabaseError>> {
        self.inner.frame_run()
    }

    fn frame_return_result(
        &mut self,
        result: FrameResult,
    ) -> Result<Option<FrameResult>, ContextError<MachineDatabaseError>> {
        self.inner.frame_return_result(result)
    }
}

impl<D: MachineDatabase> Evm for Machine<D> {
    type DB = D;
    type Tx = TxEnv;
    type Error = MachineError;
    type HaltReason = HaltReason;
    type Spec = SpecId;
    type BlockEnv = BlockEnv;
    type Precompiles = PrecompilesMap;
    type Inspector = NoOpInspector;

    fn block(&self) -> &BlockEnv {
        &self.inner.ctx.block
    }

    fn cfg_env(&self) -> &CfgEnv {
        &self.inner.ctx.cfg
    }

    fn chain_id(&self) -> u64 {
        self.inner.ctx.cfg.chain_id
    }

    fn transact_raw(&mut self, transaction: TxEnv) -> Result<ResultAndState, MachineError> {
        self.inner.ctx.set_tx(transaction);
        let result = BlockHandler::default().run(self);
        self.finish_run(result)
    }

    fn transact_system_call(
        &mut self,
        caller: Address,
        contract: Address,
        data: Bytes,
    ) -> Result<ResultAndState, MachineError> {
        self.inner.ctx.set_tx(TxEnv::new_system_tx_with_caller(caller, contract, data));
        let result = MainnetHandler::default().run_system_call(self);
        self.finish_run(result)
    }

    fn finish(self) -> (D, EvmEnv) {
        let Context { block, cfg, journaled_state, .. } = self.inner.ctx;
        (journaled_state.database, EvmEnv { block_env: block, cfg_env: cfg })
    }

    /// Nothing inspects.
    fn set_inspector_enabled(&mut self, _enabled: bool) {}

    fn components(&self) -> (&D, &NoOpInspector, &PrecompilesMap) {
        (&self.inner.ctx.journaled_state.database, &self.inner.inspector, &self.inner.precompiles)
    }

    fn components_mut(&mut self) -> (&mut D, &mut NoOpInspector, &mut PrecompilesMap) {
        let inner = &mut self.inner;
        (&mut inner.ctx.journaled_state.database, &mut inner.inspector, &mut inner.precompiles)
    }
}

/// EIP-1283 is EIP-2200 with Constantinople's price of a read, and without the gas that EIP-2200 asks to be left.
fn constantinople_gas(spec: SpecId) -> GasParams {
    const SLOAD: u64 = 200;
    let mut gas = GasParams::new_spec(spec);
    gas.override_gas([
        (GasId::sstore_static(), SLOAD),
        (GasId::sstore_set_without_load_cost(), SSTORE_SET - SLOAD),
        (GasId::sstore_reset_without_cold_load_cost(), SSTORE_RESET - SLOAD),
        (GasId::sstore_set_refund(), SSTORE_SET - SLOAD),
        (GasId::sstore_reset_refund(), SSTORE_RESET - SLOAD),
    ]);
    gas
}

fn constantinople_sstore<D: MachineDatabase>(
    context: InstructionContext<'_, MachineContext<D>, EthInterpreter>,
) -> InstructionExecResult {
    sstore_with_gas_accounting(context, |context, _, load| {
        let gas = context.host.gas_params();
        let (cost, refund) = (gas.sstore_dynamic_gas(true, &load.data, false), gas.sstore_refund(true, &load.data));
        if !context.interpreter.gas.record_regular_cost(cost) {
            return Err(InstructionResult::OutOfGas);
        }
        context.interpreter.gas.record_refund(refund);
        Ok(())
    })
}
